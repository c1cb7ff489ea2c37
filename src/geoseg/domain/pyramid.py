"""Levels of tiles over a raster, in the raster's own pixel grid."""

from __future__ import annotations

from geoseg.domain.windows import Window

TILE_PX = 256


def count_levels(height: int, width: int) -> int:
    """Return the number of levels: on the coarsest one, number 0, the raster fits one tile.

    >>> count_levels(256, 256), count_levels(257, 100), count_levels(20_000, 20_000)
    (1, 2, 8)
    """
    levels = 1
    while TILE_PX << (levels - 1) < max(height, width):
        levels += 1
    return levels


def level_step(levels: int, level: int) -> int:
    """Return the number of pixels of the raster along a side of one pixel of a tile."""
    return 1 << (levels - 1 - level)


def tile_window(levels: int, level: int, *, col: int, row: int) -> Window:
    """Return the pixels of the raster under a tile; they may lie outside of it."""
    side = TILE_PX * level_step(levels, level)
    return Window(row * side, col * side, side, side)
