"""How much of the land each class covers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED, Legend

_M2_A_HECTARE = 10_000


@dataclass
class ClassAreas:
    """Sums of pixels and ground by class id, strip by strip.

    Attributes:
        pixels: Pixels by class id (256,), int64.
        m2: Square metres likewise, float64; NaN where the raster has no place on the ground.
    """

    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    m2: NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))

    def add(self, class_ids: NDArray[np.uint8], pixel_m2: float | None) -> None:
        """Add class ids (h, w) whose pixels each cover ``pixel_m2``."""
        counts = np.bincount(class_ids.ravel(), minlength=256)
        self.pixels += counts
        self.m2 += counts * (np.nan if pixel_m2 is None else pixel_m2)

    def to_records(self, legend: Legend) -> list[dict[str, Any]]:
        """Return a record for each class, and one for what is nodata: pixels, hectares, share of the mapped land."""
        mapped = int(self.pixels[:UNLABELLED].sum())
        rows = [(c.id, c.name) for c in legend.classes] + [(UNLABELLED, "nodata")]
        return [
            {
                "id": number,
                "name": name,
                "pixels": int(self.pixels[number]),
                "hectares": None if np.isnan(self.m2[number]) else float(self.m2[number] / _M2_A_HECTARE),
                "share": float(self.pixels[number] / mapped) if mapped and number != UNLABELLED else None,
            }
            for number, name in rows
        ]
