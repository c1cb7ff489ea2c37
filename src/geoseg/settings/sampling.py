"""How points are drawn from masks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from geoseg.errors import SettingsError
from geoseg.settings.base import Count, MaskValues, Seed, Settings, Share


class Protocol(Settings):
    """How a person who labels is simulated.

    Attributes:
        scope: What N points per class count for; None: "tile" when ``tile`` is given, else "image".
        tile: Side of a tile in pixels.
        places: Where a point may lie: any "pixel" of its class; "component" draws a connected component first,
            whatever its size, then a pixel of it; "interior" keeps ``margin`` from other classes; "centre" is the
            middle of a component.
        margin: Distance of "interior" from the edge of the class, in pixels.
        jitter: How far a "centre" may be missed, in pixels, without leaving the class.
        location_error: How far points lie from where they should, 1 to this many pixels; 0 for exact ones.
        wrong_share: Share of each image's points with the label of another class.
    """

    scope: Literal["tile", "image", "total"] | None = None
    tile: Annotated[int, Field(ge=8)] | None = None
    places: Literal["pixel", "component", "interior", "centre"] = "pixel"
    margin: Annotated[int, Field(ge=1, le=100)] = 3
    jitter: Annotated[float, Field(ge=0, le=100)] = 2.0
    location_error: Annotated[float, Field(ge=0, le=100)] = 0.0
    wrong_share: Share = 0.0

    @property
    def counts_for(self) -> Literal["tile", "image", "total"]:
        """The scope, also where it is left open."""
        return self.scope or ("tile" if self.tile is not None else "image")

    @model_validator(mode="after")
    def _scope_fits_tile(self) -> Self:
        if self.tile is not None and self.scope not in (None, "tile"):
            raise ValueError(f"--tile goes with --scope tile, not with --scope {self.scope}")
        return self


class SampleSettings(Protocol):
    """Draw points from the masks of a dataset, as a protocol says.

    Attributes:
        data: Folder of ``images/`` and ``masks/``.
        output: Point file to write (.gpkg, .geojson, .csv).
        split: Name of the list of images (``train`` reads ``train.txt``); None takes all images.
        per_class: N, the points per class and per tile, image or in total.
        seed: Seed of the draw.
        legend: Legend file, when the folder has none.
        mask_values: Class names by the value that masks have for them.
        overwrite: Whether an existing output may be replaced.
    """

    arguments = frozenset({"data"})

    data: Path
    output: Path
    split: str | None = None
    per_class: Count = 10
    seed: Seed = 0
    legend: Path | None = None
    mask_values: MaskValues = None
    overwrite: bool = False


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
