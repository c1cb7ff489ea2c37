"""Define the base class of all settings, and read settings from the command line."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from geoseg.domain.mask_codes import parse_mask_values
from geoseg.domain.raster_stacks import stack_path
from geoseg.errors import SettingsError


def _as_text(value: object) -> object:
    return str(value) if isinstance(value, int) else value


Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1)]
BlockSide = Annotated[str, BeforeValidator(_as_text), Field(pattern=r"^([1-9]\d*|\d+(\.\d+)?m)$")]
"""Side of a block: pixels, as in 256, or metres, as in 500m."""
Share = Annotated[float, Field(ge=0, lt=1)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]


def _read_mask_values(value: object) -> object:
    if isinstance(value, str):
        return parse_mask_values(value)
    return {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else value


def option(default: Any = ..., *, help: str, panel: str = "", shown: str = "") -> Any:
    """Declare a setting once; the command line, the HTTP parameters and the reference are generated from it.

    Args:
        default: Default value; omitted for a required setting.
        help: One or two sentences: meaning and unit.
        panel: Heading under which ``--help`` lists it; "" for the options that most people need.
        shown: Text that help shows for a default of None.
    """
    return Field(default, description=help, json_schema_extra={"panel": panel, "shown": shown})


MaskValues = Annotated[
    dict[str, str] | None,
    BeforeValidator(_read_mask_values),
    option(help="Class of each value of the masks: 255=water,0=unlabelled or #ff0000=roof.", panel="Rasters"),
]
"""Class names by the value that masks have for them, or text such as ``255=water,0=background``."""
Nodata = Annotated[
    Annotated[float, Field(allow_inf_nan=False)] | None,
    option(
        help="Pixel value that means no data, in addition to the value that a raster declares.",
        panel="Rasters",
    ),
]
"""A nodata value of rasters."""
Stack = Annotated[
    tuple[Path, ...],
    option(
        (),
        help="Files whose bands are read as those of one raster, in this order: --stack red.tif nir.tif.",
        panel="Rasters",
    ),
]
"""Files to read as one raster, instead of a raster."""


def with_stack(values: Any, name: str, *, is_list: bool = False) -> Any:
    """Return the values of settings, before validation, with the path of a stack as the raster.

    Args:
        values: The values.
        name: The setting that takes a raster.
        is_list: Whether it takes a list of rasters.

    Raises:
        ValueError: Both a stack and a raster are given.
    """
    files = values.get("stack") if isinstance(values, dict) else None
    if not files:
        return values
    raster = stack_path([Path(file) for file in files])
    given = values.get(name)
    # Recorded settings name the stack in both.
    if given and str(raster) not in ([str(given)] if isinstance(given, str | Path) else map(str, given)):
        raise ValueError(f"either {name} or stack can be given, not both")
    return {**values, name: (raster,) if is_list else raster}


class Settings(BaseModel):
    """Base class of all settings: immutable, rejects unknown names, and reports errors in plain words.

    Raises:
        SettingsError: A value is invalid; the error names the setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    arguments: ClassVar[frozenset[str]] = frozenset()
    """Names of the settings that are positional arguments on the command line."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _plain_error(error) from None

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Return a copy with other values, which are not validated.

        Raises:
            SettingsError: There is no setting of such a name, which pydantic would ignore.
        """
        unknown = sorted((update or {}).keys() - type(self).model_fields)
        if unknown:
            raise SettingsError("there is no such setting", where=unknown[0])
        return super().model_copy(update=update, deep=deep)


class PointReadingSettings(Settings):
    """Options for reading a point file."""

    class_column: str | None = option(
        None,
        help="Column of the point file that holds the class.",
        panel="Point file",
        shown="the first with a usual name",
    )
    layer: str | None = option(
        None,
        help="Layer of the point file.",
        panel="Point file",
        shown="the one with points and a class column",
    )
    crs: str | None = option(
        None,
        help="CRS of the points if their file declares none, such as EPSG:25832.",
        panel="Point file",
    )
    per_polygon: Count = option(
        10,
        help="Maximum number of points to take from each polygon or line of the point file; their weights sum to 1.",
        panel="Point file",
    )
    classes: Path | None = option(
        None,
        help="Table (CSV) with columns from and to, which renames and merges classes of the points; an empty to leaves a "
        "class out.",
        panel="Point file",
    )


class PointFileSettings(PointReadingSettings):
    """Options for reading a point file, and for its points that cannot be used."""

    dropped: Path | None = option(
        None,
        help="GeoPackage to write, with the points that could not be used and the reasons.",
        panel="Point file",
    )


class FeatureSettings(Settings):
    """Options for rasters of features."""

    input: Literal["auto", "image", "features"] = option(
        "auto",
        help="What the rasters hold: image, or features (embeddings: one vector per pixel, any number of bands), which "
        "are classified pixel by pixel, without a network. auto recognises AlphaEarth and Tessera embeddings.",
        panel="Rasters of features",
    )
    head: Literal["auto", "knn", "logistic", "svm", "forest", "mlp"] = option(
        "auto",
        help="Classifier of features: knn (nearest neighbours by cosine), logistic, svm (linear), forest, mlp (one hidden "
        "layer), or auto, which chooses by validation over blocks of points.",
        panel="Rasters of features",
    )


class ComputeSettings(Settings):
    """Device and number format of the computation."""

    device: Device = option("auto", help="Device to compute on.", panel="Computing")
    precision: Precision = option("auto", help="Number format to compute in.", panel="Computing")


_Settings = TypeVar("_Settings", bound=Settings)


def read_settings(kind: type[_Settings], values: dict[str, Any]) -> _Settings:
    """Validate values from the command line.

    Raises:
        SettingsError: A value is invalid; the error names its option or argument.
    """
    try:
        return kind(**values)
    except SettingsError as error:
        name = error.where
        if isinstance(name, str):
            error.where = name.upper() if name in kind.arguments else f"--{name.replace('_', '-')}"
        raise


def _plain_error(error: ValidationError) -> SettingsError:
    """Convert the first error of a validation to plain words."""
    first = error.errors()[0]
    named = [part for part in first["loc"] if isinstance(part, str)]
    name = named[-1] if named else None
    if first["type"] == "missing":
        return SettingsError("a required setting is missing", where=name)
    if first["type"] == "extra_forbidden":
        return SettingsError("there is no such setting", where=name)
    got = first["input"] if name is not None else None
    if first["type"] == "value_error":
        text = first["msg"].removeprefix("Value error, ")
        return SettingsError(text[:1].lower() + text[1:], where=name, got=got)
    return SettingsError("invalid value", where=name, expected=_expected(first), got=_shown(got))


def _expected(fault: ErrorDetails) -> str:
    """Return a description of the expected value, for each kind of validation error."""
    context = fault.get("ctx", {})
    texts = {
        "literal_error": "{expected}",
        "greater_than": "a number greater than {gt}",
        "greater_than_equal": "{ge} or more",
        "less_than": "a number less than {lt}",
        "less_than_equal": "{le} or less",
        "multiple_of": "a multiple of {multiple_of}",
        "too_short": "at least {min_length} value(s)",
        "too_long": "at most {max_length} value(s)",
        "finite_number": "a number",
        "string_pattern_mismatch": "a name of letters, digits, dots and underscores",
    }
    by_type = {
        "int": "a whole number",
        "float": "a number",
        "bool": "yes or no",
        "path": "a path",
        "string": "text",
    }
    kind = fault["type"]
    whole = {key: int(n) if isinstance(n, float) and n.is_integer() else n for key, n in context.items()}
    return texts.get(kind, by_type.get(kind.partition("_")[0], "a list of values")).format(**whole)


def _shown(value: object) -> object:
    """Return a value as a user writes it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "nothing" if value is None or value == "" else value
