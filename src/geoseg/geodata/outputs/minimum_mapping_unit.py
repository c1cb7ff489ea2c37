"""Apply a minimum mapping unit: merge small regions of one class into a neighbour."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.features import sieve
from scipy import ndimage

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2

DEFAULT_MIN_PX = 10
"""Regions smaller than this are merged before polygons are made, unless a minimum area is given."""

_Ids = NDArray[np.uint8]
_Mask = NDArray[np.bool_]

# Measured: GDAL's sieve and the labels take 23 to 28 bytes for each pixel of a slab, more where there are more regions.
_SLAB_PX = 1 << 24
_SLAB_REGIONS = 16
_GROWTHS = (1.5, 1.05)


def pixels_of_area(info: RasterInfo, area_m2: float) -> int:
    """Return the number of pixels of an area, at least 1.

    One pixel counts what the pixel at the centre of the raster covers (:func:`pixel_areas_m2`). In degrees, where
    pixels shrink towards the poles, a region needs as many pixels all over the raster.

    Args:
        info: The raster.
        area_m2: Square metres, >= 0.

    Raises:
        RasterError: The ground area of the raster's pixels is not known.
    """
    areas = pixel_areas_m2(info, Window(info.height // 2, info.width // 2, 1, 1))
    pixel_m2 = 0.0 if areas is None else float(areas[0, 0])
    if not pixel_m2 > 0:
        raise RasterError(
            "the ground area of this raster's pixels is not known, so there is no minimum area",
            where=info.path,
            expected="a CRS with a place on the Earth at the centre of the raster",
        )
    # Round to nine digits: 3 m2 in pixels of 0.1 m x 0.1 m are 300 pixels, not 300.00000000000006.
    return max(1, math.ceil(float(f"{area_m2 / pixel_m2:.9g}")))


@dataclass(frozen=True)
class MappingUnit:
    """The minimum mapping unit of a raster.

    Attributes:
        min_px: Regions of fewer pixels are merged; 1 merges none.
        area_m2: The area that was asked for; None for the default.
    """

    min_px: int
    area_m2: float | None = None

    @property
    def is_of_map(self) -> bool:
        """Whether regions are also merged in the class map, not only in the polygons."""
        return self.area_m2 is not None and self.min_px > 1

    def describe(self) -> str:
        """Return a sentence on the merged regions."""
        if self.area_m2 is None:
            return f"in the polygons alone, regions under {self.min_px} pixels are merged into a neighbour"
        return f"regions under {self.area_m2:g} m2 ({self.min_px:,} pixels) are merged into a neighbour"


EVERYTHING = MappingUnit(1)
"""The unit without merging."""


def mapping_unit(min_area_m2: float | None, info: RasterInfo) -> MappingUnit:
    """Return the minimum mapping unit of a raster: ``DEFAULT_MIN_PX`` for polygons alone if no area is given.

    Args:
        min_area_m2: Square metres; 0 merges nothing.
        info: The raster.

    Raises:
        RasterError: There is an area, and the ground area of the raster's pixels is not known.
    """
    if min_area_m2 is None:
        return MappingUnit(DEFAULT_MIN_PX)
    return MappingUnit(pixels_of_area(info, min_area_m2), min_area_m2) if min_area_m2 else EVERYTHING


def sieved(class_ids: _Ids, min_px: int) -> _Ids:
    """Return class ids (H, W) with small regions merged as in :func:`sieve_blocks`.

    Example:
        >>> import numpy as np
        >>> sieved(np.array([[0, 0, 0], [0, 1, 255]], np.uint8), 2).tolist()
        [[0, 0, 0], [0, 0, 255]]
    """
    rows = max(1, _SLAB_PX // max(1, class_ids.shape[1]))
    blocks = (class_ids[top : top + rows] for top in range(0, len(class_ids), rows))
    return np.concatenate(list(sieve_blocks(blocks, min_px)))


def sieve_blocks(blocks: Iterable[_Ids], min_px: int, *, slab_px: int = _SLAB_PX) -> Iterator[_Ids]:
    """Merge every region smaller than ``min_px`` pixels into its largest neighbour.

    A region is 4-connected pixels of one class. Regions are merged by GDAL's sieve. Where that leaves small regions,
    because they have only small neighbours, the smallest ones are merged first until all are large enough.

    Nodata stays as it is, and regions do not touch across it. Some small regions stay too: those that nodata encloses
    together with fewer than ``min_px`` pixels in all, and those of nearly one size with no larger region near.

    Memory holds one slab of ``slab_px`` pixels (more for a minimum above a sixteenth of that) and the blocks that it
    touches. A raster that fits one slab is sieved as a whole. Otherwise a region is whole at every cut, but of two
    large neighbours one that mainly lies in another slab may count as the smaller one. The slabs depend on the width
    of the raster and the minimum, not on the blocks.

    Args:
        blocks: Class ids (h, W) from north to south, of any heights > 0; 255 is nodata.
        min_px: Pixels that a region needs; 1 changes nothing.
        slab_px: Pixels that are sieved in one go.

    Yields:
        Class ids of the same heights.
    """
    if min_px <= 1:
        yield from blocks
        return
    heights = deque[int]()
    slab_px = max(slab_px, _SLAB_REGIONS * min_px)
    waiting, rows_waiting = list[_Ids](), 0
    for rows in _sieved_slabs(_slabs(_noted(blocks, heights), slab_px), min_px):
        waiting.append(rows)
        rows_waiting += len(rows)
        if rows_waiting < heights[0]:
            continue
        ready = np.concatenate(waiting)
        while heights and len(ready) >= heights[0]:
            height = heights.popleft()
            yield ready[:height]
            ready = ready[height:]
        waiting, rows_waiting = [ready], len(ready)


def _noted(blocks: Iterable[_Ids], heights: deque[int]) -> Iterator[_Ids]:
    for block in blocks:
        heights.append(len(block))
        yield block


def _slabs(blocks: Iterable[_Ids], slab_px: int) -> Iterator[tuple[_Ids, bool]]:
    """Yield slabs of ``slab_px`` pixels at most, one row at least, and whether each is the last one."""
    parts, held = list[_Ids](), 0
    for block in blocks:
        parts.append(block)
        held += len(block)
        most = max(1, slab_px // block.shape[1])
        if held <= most:
            continue
        rows = np.concatenate(parts)
        while len(rows) > most:  # One row is kept back, so that the last slab is known.
            yield rows[:most], False
            rows = rows[most:]
        parts, held = [rows], len(rows)
    if parts:
        yield np.concatenate(parts), True


def _sieved_slabs(slabs: Iterable[tuple[_Ids, bool]], min_px: int) -> Iterator[_Ids]:
    """Yield the final rows; rows near a cut are sieved again with the next slab."""
    before: _Ids | None = None
    for rows, is_last in slabs:
        class_ids = rows if before is None else np.concatenate([before, rows])
        mask = class_ids != UNLABELLED
        if before is not None:
            _predict_held_out(mask, class_ids, min_px)
        top = len(class_ids)
        if not is_last:
            # Seen from the south, the cut is above the first row.
            top -= max(_predict_held_out(mask[::-1], class_ids[::-1], min_px), min(2 * min_px, top // 2))
        merged = _merged(class_ids, min_px, mask)
        yield merged[:top]
        before = merged[top:]


def _predict_held_out(mask: _Mask, class_ids: _Ids, min_px: int) -> int:
    """Unmask the regions that may go on across a cut above the first row, and may be large enough therefore.

    Returns:
        How many rows they reach from the cut.
    """
    # A region that reaches further than this has enough pixels.
    near, deepest = class_ids[:min_px], 0
    for class_id in np.unique(near[0][near[0] != UNLABELLED]):
        labels, count = ndimage.label(near == class_id)
        is_open = np.bincount(labels.ravel(), minlength=count + 1) < min_px
        is_open &= np.isin(np.arange(count + 1), labels[0])
        is_open[0] = False
        found = is_open[labels]
        mask[:min_px][found] = False
        deepest = max(deepest, int(np.flatnonzero(found.any(axis=1)).max(initial=-1)) + 1)
    return deepest


def _merged(class_ids: _Ids, min_px: int, mask: _Mask) -> _Ids:
    """Sieve once, and what that leaves in growing steps: repeating it would let a few large regions flood the rest."""
    if min_px > np.count_nonzero(mask):
        return class_ids
    class_ids = sieve(class_ids, min_px, mask=mask)
    if not np.array_equal(sieve(class_ids, min_px, mask=mask), class_ids):
        class_ids = _merged_in_steps(class_ids, range(2, min_px), mask, growth=_GROWTHS[0])
    for growth in _GROWTHS:
        lacking = _without_large_region(class_ids, min_px, mask)
        if not lacking.any():
            break
        smallest = _smallest(class_ids, lacking)
        class_ids = _merged_in_steps(class_ids, range(smallest + 1, min_px), lacking, growth=growth)
    return class_ids


def _merged_in_steps(class_ids: _Ids, sizes: range, mask: _Mask, *, growth: float) -> _Ids:
    """Sieve at growing sizes of a range, then at its end until nothing changes; each change leaves fewer regions."""
    size = sizes.start
    while size < sizes.stop:
        class_ids = sieve(class_ids, size, mask=mask)
        size = max(size + 1, int(size * growth))
    while not np.array_equal(after := sieve(class_ids, sizes.stop, mask=mask), class_ids):
        class_ids = after
    return class_ids


def _without_large_region(class_ids: _Ids, min_px: int, mask: _Mask) -> _Mask:
    """Return the connected pixels of a mask that are enough for a region of the minimum, but hold none."""
    around, count = ndimage.label(mask)
    lacks_one = np.bincount(around.ravel(), minlength=count + 1) >= min_px
    lacks_one[0] = False
    pixels = np.bincount(class_ids.ravel(), minlength=256)[:UNLABELLED]
    for class_id in np.argsort(-pixels)[
        : np.count_nonzero(pixels)
    ]:  # The largest class is likely to settle it.
        if not lacks_one.any():
            break
        labels = ndimage.label((class_ids == class_id) & mask)[0]
        is_large = np.bincount(labels.ravel()) >= min_px
        is_large[0] = False
        lacks_one[around[is_large[labels]]] = False
    found: _Mask = lacks_one[around]
    return found


def _smallest(class_ids: _Ids, mask: _Mask) -> int:
    """Return the pixels of the smallest region in a mask that is not empty."""
    found = (ndimage.label((class_ids == k) & mask)[0] for k in np.unique(class_ids[mask]))
    return min(int(np.bincount(labels.ravel())[1:].min()) for labels in found)
