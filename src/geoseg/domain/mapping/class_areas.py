"""Areas covered by the classes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geoseg.domain.legend import UNLABELLED, UNSURE, Legend

_M2_PER_HECTARE = 10_000


@dataclass
class ClassAreas:
    """Pixel counts and areas by class id, summed strip by strip.

    Attributes:
        pixels: Pixels by class id (256,), int64.
        m2: Square metres by class id (256,), float64; NaN if the raster is not georeferenced.
    """

    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    m2: NDArray[np.float64] = field(default_factory=lambda: np.zeros(256))

    def add(self, class_ids: NDArray[np.uint8], pixel_m2: ArrayLike | None) -> None:
        """Add class ids (h, w); the pixel area ``pixel_m2`` broadcasts to (h, w), None if unknown."""
        self.pixels += np.bincount(class_ids.ravel(), minlength=256)
        self.m2 += sums_by_value(class_ids, pixel_m2, 256)

    def to_records(self, legend: Legend) -> list[dict[str, Any]]:
        """Return a record for each class, for unsure pixels if there are any, and for nodata: pixels, hectares, share of the mapped area.

        Shares are area fractions, or pixel fractions if pixel areas are unknown.
        """
        sizes = self.pixels if np.isnan(self.m2[:UNLABELLED]).any() else self.m2
        mapped = float(sizes[:UNLABELLED].sum())
        rows = [(c.id, c.name) for c in legend.classes]
        if self.pixels[UNSURE] and len(legend) <= UNSURE:
            rows.append((UNSURE, "unsure"))
        rows.append((UNLABELLED, "nodata"))
        return [
            {
                "id": number,
                "name": name,
                "pixels": int(self.pixels[number]),
                "hectares": None if np.isnan(self.m2[number]) else float(self.m2[number] / _M2_PER_HECTARE),
                "share": float(sizes[number] / mapped) if mapped and number != UNLABELLED else None,
            }
            for number, name in rows
        ]


def sums_by_value(
    values: NDArray[np.integer[Any]], pixel_m2: ArrayLike | None, count: int
) -> NDArray[np.float64]:
    """Return the area covered by each value in square metres.

    Args:
        values: Integers (h, w) from 0 to ``count`` - 1.
        pixel_m2: Area of a pixel, of a shape that broadcasts to (h, w); None if unknown.
        count: Number of values.

    Returns:
        Square metres by value (count,), NaN where the pixel area is unknown.
    """
    pixels = np.bincount(values.ravel(), minlength=count).astype(np.float64)
    areas = np.asarray(np.nan if pixel_m2 is None else pixel_m2, np.float64)
    if areas.size == 1:
        # A product instead of a sum avoids rounding: pixels of 1 m2 must give whole square metres.
        return pixels * float(areas.ravel()[0])
    sums = np.bincount(values.ravel(), np.broadcast_to(areas, values.shape).ravel(), minlength=count)
    return sums.astype(np.float64)
