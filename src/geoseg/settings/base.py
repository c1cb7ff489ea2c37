"""What all settings share, and how a door reads them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from geoseg.domain.mask_codes import parse_mask_values
from geoseg.errors import SettingsError

Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Count = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, lt=1)]
Device = Literal["auto", "cpu", "cuda", "mps"]
Precision = Literal["auto", "float32", "bf16"]


def _read_mask_values(value: object) -> object:
    if isinstance(value, str):
        return parse_mask_values(value)
    return {str(k).lower(): v for k, v in value.items()} if isinstance(value, dict) else value


MaskValues = Annotated[dict[str, str] | None, BeforeValidator(_read_mask_values)]
"""Class names by the value that masks have for them, or text such as ``255=water,0=background``."""


class Settings(BaseModel):
    """What all settings share: frozen, and no unknown names."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class PointFileSettings(Settings):
    """How point files are read, where they leave it open.

    Attributes:
        class_column: Column of the point file that holds the class; None: the first with a usual name.
        layer: Layer of the point file, where there are several; None chooses.
        crs: CRS of the points, where the file declares none: "EPSG:25832", or anything that PROJ understands.
        per_polygon: Most points to take from each polygon or line of the point file.
    """

    class_column: str | None = None
    layer: str | None = None
    crs: str | None = None
    per_polygon: Count = 10


_Settings = TypeVar("_Settings", bound=Settings)


def read_settings(kind: type[_Settings], values: dict[str, Any]) -> _Settings:
    """Validate values from a door.

    Raises:
        SettingsError: A value is not right; the message names its option.
    """
    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        named = [part for part in first["loc"] if isinstance(part, str)]
        name = "--" + named[-1].replace("_", "-") if named else None
        text = first["msg"].removeprefix("Value error, ")
        raise SettingsError(
            text[:1].lower() + text[1:], where=name, got=first["input"] if first["loc"] else None
        ) from error
