"""Count the pixels and areas of a population of map pixels, part by part."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.mapping.class_areas import sums_by_value
from geoseg.domain.windows import Window

_Floats = NDArray[np.float64]
_VALUES = UNLABELLED + 1


@dataclass(frozen=True)
class Part:
    """A window of the population.

    Attributes:
        window: Its place in the map.
        class_ids: Map classes, uint8 (h, w); 255 is nodata.
        stratum_ids: Strata, uint8 (h, w); 255 for a pixel that is not in the population.
        is_drawable: Pixels (h, w) that may be drawn: all of the population but training points.
        pixel_m2: Ground areas of the pixels, of a shape that broadcasts to (h, w); None if not known.
    """

    window: Window
    class_ids: NDArray[np.uint8]
    stratum_ids: NDArray[np.uint8]
    is_drawable: NDArray[np.bool_]
    pixel_m2: _Floats | None


@dataclass(frozen=True)
class Population:
    """Counts of a population by stratum id and by class id, each (255,); areas are NaN if not known.

    Attributes:
        pixels: Pixels by stratum.
        m2: Area by stratum, in square metres.
        drawable: Pixels that may be drawn by stratum.
        class_pixels: Pixels by map class.
        class_m2: Area by map class, in square metres.
        clusters: Number of blocks with a pixel that may be drawn.
        without_stratum: Mapped pixels that lie in no stratum, which are not in the population.
    """

    pixels: NDArray[np.int64]
    m2: _Floats
    drawable: NDArray[np.int64]
    class_pixels: NDArray[np.int64]
    class_m2: _Floats
    clusters: int
    without_stratum: int


def count_population(parts: Iterable[Part], cluster_px: int) -> Population:
    """Count the pixels of a population in one pass; ``cluster_px`` is the side of the blocks of a cluster sample."""
    pixels, drawable, class_pixels = np.zeros((3, _VALUES), np.int64)
    m2, class_m2 = np.zeros((2, _VALUES))
    clusters = without = 0
    for part in parts:
        found, area = _counts(part.stratum_ids), sums_by_value(part.stratum_ids, part.pixel_m2, _VALUES)
        pixels += found
        m2 += area
        drawable += _counts(part.stratum_ids[part.is_drawable])
        if part.stratum_ids is not part.class_ids:
            is_member = part.stratum_ids != UNLABELLED
            without += int((~is_member & (part.class_ids != UNLABELLED)).sum())
            members = np.where(is_member, part.class_ids, np.uint8(UNLABELLED))
            found, area = _counts(members), sums_by_value(members, part.pixel_m2, _VALUES)
        class_pixels += found
        class_m2 += area
        clusters += int(np.count_nonzero(block_counts(part.is_drawable, cluster_px)))
    return Population(
        pixels[:UNLABELLED],
        m2[:UNLABELLED],
        drawable[:UNLABELLED],
        class_pixels[:UNLABELLED],
        class_m2[:UNLABELLED],
        clusters,
        without,
    )


def block_counts(flags: NDArray[np.bool_], side: int) -> NDArray[np.int64]:
    """Return the number of set pixels in each block of ``side`` x ``side`` pixels; blocks at the end may be smaller."""
    if side == 1:
        return flags.astype(np.int64)
    starts = [np.arange(0, length, side) for length in flags.shape]
    rows = np.add.reduceat(flags.astype(np.int64), starts[0], axis=0)
    return np.asarray(np.add.reduceat(rows, starts[1], axis=1))


def _counts(values: NDArray[np.uint8]) -> NDArray[np.int64]:
    return np.bincount(values.ravel(), minlength=_VALUES).astype(np.int64)
