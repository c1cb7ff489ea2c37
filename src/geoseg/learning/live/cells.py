"""Features of a raster in cells that do not depend on the view: computed once, read at points, mapped in windows."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window
from geoseg.inference.graphs.layers import STAGE_CHANNELS, LayerPlan, feature_graph
from geoseg.inference.graphs.texture import count_texture, texture_graph
from geoseg.inference.runtimes import onnx_session
from geoseg.learning.architecture import COLORS
from geoseg.learning.normalisation import Normalisation

CELL_PX = 512
"""Side of a cell, a multiple of the coarsest stride."""
CONTEXT_PX = 64
"""Pixels read around a cell."""
COARSE_STRIDE = 16
_TEXTURE_STRIDES = (2, 2, 4)
"""Strides at which the texture is kept; it is computed at strides 1, 2 and 4."""

Floats = NDArray[np.float32]
Half = NDArray[np.float16]


@dataclass(frozen=True)
class Cell:
    """Features of a cell.

    Attributes:
        maps: One map (F, n + 2, n + 2) for each stride, with n = 512 / stride. The outermost values belong to the
            neighbours, so that upsampling shows no border.
        valid: Valid pixels (512, 512).
        coarse: Means of all features in squares of 16 px (F, 34, 34), with neighbours too.
    """

    maps: tuple[Half, ...]
    valid: NDArray[np.bool_]
    coarse: Half


class CellExtractor:
    """Computes the features of cells with the bundled backbone, and colour and texture where there are other bands.

    The backbone sees the first three bands, at the resolution of the raster only: at twice the resolution, as in the
    recipe quick, features take four times as long and eight times the memory.

    Args:
        normalisation: Statistics of the bands.
        threads: Number of threads.
    """

    def __init__(self, normalisation: Normalisation, threads: int) -> None:
        bands = normalisation.channels
        self._normalisation = normalisation
        taken = min(bands, COLORS)
        graph = feature_graph(LayerPlan(taken, taken, (1,), has_texture=False))
        self._taken, self._stages = taken, onnx_session(graph, threads)
        self._texture = onnx_session(texture_graph(bands), threads) if bands != COLORS else None
        self.strides: tuple[int, ...] = (2, 4, 8, 16)
        self.counts: tuple[int, ...] = STAGE_CHANNELS
        if self._texture is not None:
            self.strides += _TEXTURE_STRIDES
            self.counts += count_texture(bands)
        text = f"1 {CELL_PX} {CONTEXT_PX} {self.strides} {normalisation} {hashlib.sha256(graph).hexdigest()}"
        self.key = hashlib.sha256(text.encode()).hexdigest()[:16]
        """Text that changes with the features."""

    def compute(self, source: PixelSource, row: int, col: int) -> Cell:
        """Compute the cell in a row and column of the grid of cells.

        Args:
            source: The raster, with the bands of the normalisation.
            row: Row of the cell.
            col: Column of the cell.
        """
        window = Window(row * CELL_PX, col * CELL_PX, CELL_PX, CELL_PX).padded(CONTEXT_PX)
        pixels, valid = source.read(window)
        images = np.ascontiguousarray(self._normalisation.apply(pixels[None], valid[None]))
        maps = [
            _cut(layer[0], stride)
            for layer, stride in zip(self._stages(images[:, : self._taken]), self.strides, strict=False)
        ]
        if self._texture is not None:
            maps += self._texture_maps(images)
        inner = np.s_[CONTEXT_PX:-CONTEXT_PX, CONTEXT_PX:-CONTEXT_PX]
        coarse = np.concatenate(
            [_pooled(one, stride) for one, stride in zip(maps, self.strides, strict=True)]
        )
        kept = tuple(
            one[:, _ring(stride), _ring(stride)].astype(np.float16)
            for one, stride in zip(maps, self.strides, strict=True)
        )
        return Cell(kept, valid[inner], coarse.astype(np.float16))

    def _texture_maps(self, images: Floats) -> list[Floats]:
        assert self._texture is not None
        side = images.shape[-1]
        return [
            _cut(_block_means(layer[0], stride * layer.shape[-1] // side), stride)
            for layer, stride in zip(self._texture(images), _TEXTURE_STRIDES, strict=True)
        ]


_WIDE = COARSE_STRIDE
"""Pixels around a cell that maps keep while they are averaged."""


def _cut(layer: Floats, stride: int) -> Floats:
    """Cut a map of the window with its context to the cell and 16 px around it."""
    edge = (CONTEXT_PX - _WIDE) // stride
    return layer[:, edge : layer.shape[1] - edge, edge : layer.shape[2] - edge]


def _ring(stride: int) -> slice:
    """Return the part of a cut map with one value around the cell."""
    extra = _WIDE // stride - 1
    return slice(extra, CELL_PX // stride + 2 * (_WIDE // stride) - extra)


def _pooled(layer: Floats, stride: int) -> Floats:
    return _block_means(layer, COARSE_STRIDE // stride)


def _block_means(layer: Floats, step: int) -> Floats:
    if step == 1:
        return layer
    count, height, width = layer.shape
    blocks = layer.reshape(count, height // step, step, width // step, step)
    found: Floats = blocks.mean(axis=(2, 4), dtype=np.float32)
    return found


def read_cell_at(
    cell: Cell, strides: Sequence[int], *, rows: NDArray[np.float64], cols: NDArray[np.float64]
) -> Floats:
    """Read the features of a cell bilinearly at places.

    Args:
        cell: The cell.
        strides: Strides of its maps.
        rows: Rows (P,) from the upper edge of the cell, 0 to 512; 0.5 is the centre of the first pixel.
        cols: Columns (P,).

    Returns:
        (P, F), float32.
    """
    return np.concatenate(
        [
            _bilinear(one, rows / stride + 0.5, cols / stride + 0.5)
            for one, stride in zip(cell.maps, strides, strict=True)
        ],
        axis=1,
    )


def _bilinear(layer: Half, row: NDArray[np.float64], col: NDArray[np.float64]) -> Floats:
    top, left = (
        np.clip(place.astype(np.intp), 0, size - 2)
        for place, size in zip((row, col), layer.shape[1:], strict=True)
    )
    down, across = (row - top).astype(np.float32)[:, None], (col - left).astype(np.float32)[:, None]
    corner = [layer[:, top + r, left + c].T.astype(np.float32) for r in (0, 1) for c in (0, 1)]
    upper = corner[0] * (1 - across) + corner[1] * across
    lower = corner[2] * (1 - across) + corner[3] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)
