"""How points are drawn from masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from geoseg.errors import SettingsError
from geoseg.settings.base import Count, MaskValues, Seed, Settings, Share, option


class Protocol(Settings):
    """How a labelling person is simulated."""

    scope: Literal["tile", "image", "total"] | None = option(
        None, help="Unit that the points per class count for.", shown="image; tile with --tile"
    )
    tile: Annotated[int, Field(ge=8)] | None = option(None, help="Side of a tile in pixels.")
    places: Literal["pixel", "component", "interior", "centre"] = option(
        "pixel",
        help="Where a point may lie: pixel (any of its class), component (a connected component first, then a pixel of "
        "it), interior (away from other classes), centre (the middle of a component).",
        panel="Simulated annotator",
    )
    margin: Annotated[int, Field(ge=1, le=100)] = option(
        3, help="Least distance of interior from other classes, in pixels.", panel="Simulated annotator"
    )
    jitter: Annotated[float, Field(ge=0, le=100)] = option(
        2.0, help="Largest distance of centre from the middle, in pixels.", panel="Simulated annotator"
    )
    location_error: Annotated[float, Field(ge=0, le=100)] = option(
        0.0, help="Displace points by 1 to this many pixels; 0: not.", panel="Simulated annotator"
    )
    wrong_share: Share = option(
        0.0, help="Share of the points of an image to give a wrong class.", panel="Simulated annotator"
    )

    @property
    def counts_for(self) -> Literal["tile", "image", "total"]:
        """The scope, also where it is left open."""
        return self.scope or ("tile" if self.tile is not None else "image")

    @model_validator(mode="after")
    def _scope_fits_tile(self) -> Self:
        if self.tile is not None and self.scope not in (None, "tile"):
            raise ValueError(f"tile goes with scope tile, not with scope {self.scope}")
        return self


class SampleSettings(Protocol):
    """Draw points from the masks of a dataset."""

    arguments = frozenset({"data"})

    data: Path = option(help="Folder with images/ and masks/.")
    output: Path = option(help="Point file to write: .gpkg, .geojson or .csv.")
    split: str | None = option(None, help="Split list of the images, such as train.", shown="all images")
    per_class: Count = option(10, help="Points per class and tile, image, or in total.")
    seed: Seed = option(0, help="Random seed; the same seed gives the same points.")
    legend: Path | None = option(None, help="Legend file (JSON).")
    mask_values: MaskValues = option(
        None, help="Class of each value of the masks: 255=water,0=unlabelled or #ff0000=roof."
    )
    overwrite: bool = option(False, help="Replace an existing point file.")


def read_protocol(text: str, *, scope: str | None, tile: int | None) -> dict[str, Any]:
    """Return a protocol's settings: one of its ways to place points, or what a JSON file says.

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
