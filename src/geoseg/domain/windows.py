"""Rectangles of pixels: windows, tiles and the grids they form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: first ``row`` and ``col`` (may be negative), ``height`` and ``width`` in pixels."""

    row: int
    col: int
    height: int
    width: int

    def padded(self, margin: int) -> Window:
        """Return the window grown by ``margin`` pixels on every side."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def clipped(self, height: int, width: int) -> Window:
        """Return the part inside a raster of ``height`` x ``width`` pixels; its size is 0 if it lies outside."""
        row, col = min(max(self.row, 0), height), min(max(self.col, 0), width)
        bottom = min(max(self.row + self.height, row), height)
        right = min(max(self.col + self.width, col), width)
        return Window(row, col, bottom - row, right - col)


def grid(height: int, width: int, size: int) -> Iterator[Window]:
    """Yield the cells of a fixed grid of ``size`` pixels over a raster, row by row; border cells are clipped."""
    for row in range(0, height, size):
        for col in range(0, width, size):
            yield Window(row, col, min(size, height - row), min(size, width - col))


def strips(height: int, width: int, size: int) -> Iterator[Window]:
    """Yield full-width rows of ``size`` pixels height, from north to south; the last may be shorter."""
    for row in range(0, height, size):
        yield Window(row, 0, min(size, height - row), width)


def spaced_windows(height: int, width: int, size: int, *, most: int, step: int) -> Iterator[Window]:
    """Yield windows spaced evenly over a raster, row by row.

    Args:
        height: Rows of the raster in pixels.
        width: Columns of the raster in pixels.
        size: Side of the windows in pixels; limited to the side of the raster, rounded up to a multiple of ``step``.
        most: Maximum number of windows along each side of the raster.
        step: Windows start at multiples of this number of pixels.
    """
    across = list(_starts(width, size, most=most, step=step))
    window = Window(0, 0, min(size, -(-height // step) * step), min(size, -(-width // step) * step))
    for row in _starts(height, size, most=most, step=step):
        for col in across:
            yield Window(row, col, window.height, window.width)


def random_windows(height: int, width: int, size: int, *, most: int, seed: int = 0) -> Iterator[Window]:
    """Yield windows at random positions, one in each cell of a regular grid over a raster, row by row.

    If ``most`` windows cover a side, the cells are the windows, so that nothing is left out. Windows in a row of the
    grid start at the same raster row, so that few full-width blocks are decoded.

    Args:
        height: Rows of the raster in pixels.
        width: Columns of the raster in pixels.
        size: Maximum side of the windows in pixels.
        most: Maximum number of windows along each side of the raster.
        seed: Seed of the positions.
    """
    rng = np.random.default_rng(seed)
    for row, rows in _scattered(height, size, most=most, rng=rng):
        for col, cols in _scattered(width, size, most=most, rng=rng):
            yield Window(row, col, rows, cols)


def _scattered(length: int, size: int, *, most: int, rng: np.random.Generator) -> Iterator[tuple[int, int]]:
    """Yield start and length of an interval at a random position in each of up to ``most`` equal parts."""
    count = min(most, -(-length // size))
    for number in range(count):
        first, end = length * number // count, length * (number + 1) // count
        extent = min(size, end - first)
        yield int(rng.integers(first, end - extent + 1)), extent


def _starts(length: int, size: int, *, most: int, step: int) -> Iterator[int]:
    count = max(1, min(most, length // size))
    for number in range(count):
        yield (length - size) * number // max(1, count - 1) // step * step
