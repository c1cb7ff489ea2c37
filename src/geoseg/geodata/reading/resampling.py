"""Resample pixels to another grid: area average to a coarser grid, bilinear to a finer one."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window

_SOURCE_PX_AT_ONCE = 1 << 22
_NO_WEIGHT = 1e-6

# First source position of the taps, and for each target pixel (n) the positions and weights of its k taps.
_Taps = tuple[NDArray[np.intp], NDArray[np.float32]]


class Resampled:
    """A raster on a grid with the same upper left corner and another pixel size; a PixelSource.

    On a coarser grid, a target pixel is the area-weighted mean of the valid source pixels under it. It is valid if any
    of them is valid. On a finer grid, it is interpolated between its valid neighbours. It is valid if the source pixel
    under its centre is valid. NaN values are excluded from the mean of their band. A target pixel depends only on its
    source pixels, never on the window.

    GDAL's WarpedVRT is not used, because it drops the mask of a raster that also has a nodata value.

    Args:
        source: The raster.
        height: Rows of the target grid.
        width: Columns of the target grid.
        row_factor: Source rows per target row; above 1 is a coarser grid.
        col_factor: Source columns per target column.
    """

    def __init__(
        self, source: PixelSource, *, height: int, width: int, row_factor: float, col_factor: float
    ) -> None:
        self._source, self._height, self._width = source, height, width
        self._row_factor, self._col_factor = row_factor, col_factor

    @property
    def height(self) -> int:
        """Rows of the target grid."""
        return self._height

    @property
    def width(self) -> int:
        """Columns of the target grid."""
        return self._width

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return pixels (B, h, w) and their validity (h, w); see PixelSource."""
        parts = [self._read_part(part) for part in self._parts(window)]
        pixels = np.concatenate([p for p, _ in parts], axis=1)
        valid = np.concatenate([v for _, v in parts], axis=0)
        return self._mask_outside(pixels, valid, window)

    def _parts(self, window: Window) -> list[Window]:
        """Split a window into strips with a limited number of source pixels."""
        source_row_px = max(1.0, window.width * self._col_factor)
        step = max(1, int(_SOURCE_PX_AT_ONCE / (source_row_px * max(1.0, self._row_factor))))
        tops = range(0, max(window.height, 1), step)
        return [
            Window(window.row + top, window.col, min(step, window.height - top), window.width) for top in tops
        ]

    def _read_part(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        rows = _value_taps(window.row, window.height, self._row_factor)
        cols = _value_taps(window.col, window.width, self._col_factor)
        under = _window_of(rows[0], cols[0])
        pixels, valid = self._source.read(under)
        weight = valid.astype(np.float32)
        total = _weighted_sums(weight[None], rows, cols, under=under)[0]
        values = _band_means(pixels, weight, rows=rows, cols=cols, under=under)
        has_any = total > _NO_WEIGHT
        covered = _weighted_sums(
            weight[None],
            _cover_taps(window.row, window.height, self._row_factor),
            _cover_taps(window.col, window.width, self._col_factor),
            under=under,
        )[0]
        covered_valid = has_any & (covered > _NO_WEIGHT)
        return np.where(covered_valid, values, np.float32(0)), covered_valid

    def _mask_outside(
        self, pixels: NDArray[np.float32], valid: NDArray[np.bool_], window: Window
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        rows = np.arange(window.row, window.row + window.height)
        cols = np.arange(window.col, window.col + window.width)
        inside = ((rows >= 0) & (rows < self._height))[:, None] & ((cols >= 0) & (cols < self._width))
        valid = valid & inside
        return np.where(valid, pixels, np.float32(0)), valid


def _value_taps(start: int, count: int, factor: float) -> _Taps:
    return _area_taps(start, count, factor) if factor > 1 else _bilinear_taps(start, count, factor)


def _cover_taps(start: int, count: int, factor: float) -> _Taps:
    return _area_taps(start, count, factor) if factor > 1 else _nearest_taps(start, count, factor)


def _area_taps(start: int, count: int, factor: float) -> _Taps:
    low = np.arange(start, start + count)[:, None] * factor
    positions = np.floor(low + _NO_WEIGHT).astype(np.intp) + np.arange(math.ceil(factor) + 1)
    overlap = np.minimum(low + factor, positions + 1) - np.maximum(low, positions)
    return positions, np.where(overlap > _NO_WEIGHT, overlap, 0).astype(np.float32)


def _bilinear_taps(start: int, count: int, factor: float) -> _Taps:
    centre = (np.arange(start, start + count) + 0.5) * factor - 0.5
    first = np.floor(centre).astype(np.intp)
    share = centre - first
    return np.stack([first, first + 1], axis=1), np.stack([1 - share, share], axis=1).astype(np.float32)


def _nearest_taps(start: int, count: int, factor: float) -> _Taps:
    positions = np.floor((np.arange(start, start + count) + 0.5) * factor).astype(np.intp)[:, None]
    return positions, np.ones(positions.shape, np.float32)


def _window_of(rows: NDArray[np.intp], cols: NDArray[np.intp]) -> Window:
    (row, height), (col, width) = _span(rows), _span(cols)
    return Window(row, col, height, width)


def _span(positions: NDArray[np.intp]) -> tuple[int, int]:
    """Return the first position, and the number of positions from first to last; 0, 0 if there are none."""
    if not positions.size:
        return 0, 0
    first = int(positions.min())
    return first, int(positions.max()) - first + 1


def _band_means(
    pixels: NDArray[np.float32], weight: NDArray[np.float32], *, rows: _Taps, cols: _Taps, under: Window
) -> NDArray[np.float32]:
    """Return the means (B, rows, cols) of bands (B, H, W), weighted by (H, W); NaN without any value."""
    missing = np.isnan(pixels)
    weights = np.where(missing, np.float32(0), weight) if missing.any() else weight[None]
    total = _weighted_sums(weights, rows, cols, under=under)
    values = _weighted_sums(np.where(missing, np.float32(0), pixels) * weight, rows, cols, under=under)
    nothing = total <= _NO_WEIGHT
    return np.where(nothing, np.float32(np.nan), values / np.where(nothing, np.float32(1), total))


def _weighted_sums(
    bands: NDArray[np.float32], rows: _Taps, cols: _Taps, *, under: Window
) -> NDArray[np.float32]:
    """Return the weighted sums (B, rows, cols) of ``bands`` (B, H, W), which cover the window ``under``."""
    narrow = np.zeros((*bands.shape[:2], len(cols[0])), np.float32)
    for position, weight in zip(cols[0].T, cols[1].T, strict=True):
        narrow += bands[:, :, position - under.col] * weight
    low = np.zeros((bands.shape[0], len(rows[0]), len(cols[0])), np.float32)
    for position, weight in zip(rows[0].T, rows[1].T, strict=True):
        low += narrow[:, position - under.row, :] * weight[:, None]
    return low
