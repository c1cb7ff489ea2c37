"""The base of all settings, and how the command line reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from geoseg.domain.mask_codes import parse_mask_values
from geoseg.errors import SettingsError

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Nodata = Annotated[float, Field(allow_inf_nan=False)] | None
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]


def _read_mask_values(value: object) -> object:
    if isinstance(value, str):
        return parse_mask_values(value)
    return {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else value


MaskValues = Annotated[dict[str, str] | None, BeforeValidator(_read_mask_values)]
"""Class names by the value that masks have for them, or text such as ``255=water,0=background``."""


def option(default: Any = ..., *, help: str, panel: str = "", shown: str = "") -> Any:
    """Declare a setting once; the command line, the HTTP parameters and the reference are generated from it.

    Args:
        default: Its default; left out for a setting that is required.
        help: One or two sentences: what it is, its unit.
        panel: Heading under which ``--help`` lists it; "" for the options that most people need.
        shown: How help shows a default of None.
    """
    return Field(default, description=help, json_schema_extra={"panel": panel, "shown": shown})


class Settings(BaseModel):
    """Base of all settings: frozen, without unknown names, with faults in plain words.

    Raises:
        SettingsError: A value cannot be used; the error names the setting.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    arguments: ClassVar[frozenset[str]] = frozenset()
    """Settings that the command line takes by position."""

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _plain_error(error) from None


class PointFileSettings(Settings):
    """How a point file is read."""

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
        help="Most points to take from each polygon or line of the point file; together they weigh 1.",
        panel="Point file",
    )
    dropped: Path | None = option(
        None,
        help="GeoPackage to write the points to that could not be used, with the reasons.",
        panel="Point file",
    )


class ComputeSettings(Settings):
    """Where and how precisely to compute."""

    device: Device = option("auto", help="Device to compute on.", panel="Computing")
    precision: Precision = option("auto", help="Number format to compute in.", panel="Computing")


_Settings = TypeVar("_Settings", bound=Settings)


def read_settings(kind: type[_Settings], values: dict[str, Any]) -> _Settings:
    """Validate values from the command line.

    Raises:
        SettingsError: A value cannot be used; the error names its option or argument.
    """
    try:
        return kind(**values)
    except SettingsError as error:
        name = error.where
        if isinstance(name, str):
            error.where = name.upper() if name in kind.arguments else f"--{name.replace('_', '-')}"
        raise


def _plain_error(error: ValidationError) -> SettingsError:
    """Return the first fault of a validation in plain words."""
    first = error.errors()[0]
    named = [part for part in first["loc"] if isinstance(part, str)]
    name = named[-1] if named else None
    if first["type"] == "missing":
        return SettingsError("this is needed", where=name)
    if first["type"] == "extra_forbidden":
        return SettingsError("there is no such setting", where=name)
    got = first["input"] if name is not None else None
    if first["type"] == "value_error":
        text = first["msg"].removeprefix("Value error, ")
        return SettingsError(text[:1].lower() + text[1:], where=name, got=got)
    return SettingsError("this value cannot be used", where=name, expected=_expected(first), got=_shown(got))


def _expected(fault: ErrorDetails) -> str:
    """Return what would have been right, for each kind of fault that our settings can have."""
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
    """Return a value as a person writes it."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return "nothing" if value is None or value == "" else value
