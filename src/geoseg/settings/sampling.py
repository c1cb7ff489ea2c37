"""Settings for drawing points from masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from geoseg.errors import SettingsError
from geoseg.settings.base import Count, MaskValues, Seed, Settings, Share, option


class Protocol(Settings):
    """Options that simulate an annotator."""

    scope: Literal["tile", "image", "total"] | None = option(
        None, help="Unit to which the number of points per class applies.", shown="image; tile with --tile"
    )
    tile: Annotated[int, Field(ge=8)] | None = option(None, help="Side of a tile in pixels.")
    places: Literal["pixel", "component", "interior", "centre"] = option(
        "pixel",
        help="Position of points: pixel (any pixel of the class), component (a random pixel of a random connected "
        "component), interior (away from other classes), centre (near the middle of a component).",
        panel="Simulated annotator",
    )
    margin: Annotated[int, Field(ge=1, le=100)] = option(
        3, help="For interior: minimum distance from other classes, in pixels.", panel="Simulated annotator"
    )
    jitter: Annotated[float, Field(ge=0, le=100)] = option(
        2.0, help="For centre: maximum distance from the middle, in pixels.", panel="Simulated annotator"
    )
    location_error: Annotated[float, Field(ge=0, le=100)] = option(
        0.0,
        help="Displace each point by 1 to this number of pixels; 0 displaces none.",
        panel="Simulated annotator",
    )
    wrong_share: Share = option(
        0.0, help="Share of the points of each image that get a wrong class.", panel="Simulated annotator"
    )

    @property
    def counts_for(self) -> Literal["tile", "image", "total"]:
        """The scope, or its default if it is unset."""
        return self.scope or ("tile" if self.tile is not None else "image")

    @model_validator(mode="after")
    def _scope_fits_tile(self) -> Self:
        if self.tile is not None and self.scope not in (None, "tile"):
            raise ValueError(f"tile needs scope tile, but the scope is {self.scope}")
        return self


class SampleSettings(Protocol):
    """Draw points from the masks of a dataset."""

    arguments = frozenset({"data"})

    data: Path = option(help="Folder with images/ and masks/.")
    output: Path = option(help="Point file to write: .gpkg, .geojson or .csv.")
    split: str | None = option(None, help="Split list of the images, such as train.", shown="all images")
    per_class: Count = option(10, help="Points per class, for each tile or image or in total.")
    seed: Seed = option(0, help="Random seed; the same seed gives the same points.")
    legend: Path | None = option(None, help="Legend file (JSON).")
    mask_values: MaskValues = None
    overwrite: bool = option(False, help="Replace an existing point file.")


def read_protocol(text: str, *, scope: str | None, tile: int | None) -> dict[str, Any]:
    """Return the settings of a protocol from the name of a position or from a JSON file.

    Raises:
        SettingsError: The file cannot be read.
    """
    values: dict[str, Any] = {"places": text}
    if text.endswith(".json"):
        try:
            values = dict(json.loads(Path(text).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise SettingsError(
                "the protocol cannot be read",
                where=text,
                expected='a JSON object such as {"scope": "tile", "tile": 256, "places": "pixel"}',
                got="no such file" if isinstance(error, FileNotFoundError) else None,
            ) from error
    given = {"scope": scope, "tile": tile}
    return values | {name: value for name, value in given.items() if value is not None}
