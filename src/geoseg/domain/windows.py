"""Rectangles of pixels: windows, tiles and the grids they form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


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
        """Return the part inside a raster of ``height`` x ``width`` pixels (size 0 where outside)."""
        row, col = min(max(self.row, 0), height), min(max(self.col, 0), width)
        bottom = min(max(self.row + self.height, row), height)
        right = min(max(self.col + self.width, col), width)
        return Window(row, col, bottom - row, right - col)


def grid(height: int, width: int, size: int) -> Iterator[Window]:
    """Yield the cells of a fixed grid of ``size`` pixels over a raster, row by row; border cells are cut."""
    for row in range(0, height, size):
        for col in range(0, width, size):
            yield Window(row, col, min(size, height - row), min(size, width - col))


def strips(height: int, width: int, size: int) -> Iterator[Window]:
    """Yield full-width rows of ``size`` pixels height, from north to south; the last may be lower."""
    for row in range(0, height, size):
        yield Window(row, 0, min(size, height - row), width)
