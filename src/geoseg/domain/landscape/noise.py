"""Pixel grid of a scene in metres, and smooth random fields."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """Pixel grid of a scene; the origin is the centre of the scene, x points east and y south, in metres."""

    height: int
    width: int
    resolution_m: float

    @property
    def x(self) -> Field:
        """Eastings of the pixel centres, shape (1, W), in metres."""
        return _centres(self.width, self.resolution_m)[None, :]

    @property
    def y(self) -> Field:
        """Southings of the pixel centres, shape (H, 1), in metres."""
        return _centres(self.height, self.resolution_m)[:, None]

    @property
    def extent_m(self) -> float:
        """Side of the square with the area of the scene, in metres."""
        return float(np.sqrt(self.height * self.width)) * self.resolution_m

    @property
    def half_diagonal_m(self) -> float:
        """Distance from the centre of the scene to its corners, in metres."""
        return float(np.hypot(self.height, self.width)) * self.resolution_m / 2

    def box(self, x: float, y: float, radius_m: float) -> tuple[slice, slice]:
        """Return the row and column slices of the square around (x, y), clipped at the border (possibly empty)."""
        row = y / self.resolution_m + (self.height - 1) / 2
        col = x / self.resolution_m + (self.width - 1) / 2
        reach = radius_m / self.resolution_m
        return _clipped(row, reach, self.height), _clipped(col, reach, self.width)

    def pixel(
        self, x: NDArray[np.floating], y: NDArray[np.floating]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Return the rows and columns nearest to the positions, clipped to the grid."""
        rows = np.rint(y / self.resolution_m + (self.height - 1) / 2).astype(np.intp)
        cols = np.rint(x / self.resolution_m + (self.width - 1) / 2).astype(np.intp)
        return rows.clip(0, self.height - 1), cols.clip(0, self.width - 1)


@lru_cache(maxsize=8)
def _centres(count: int, step: float) -> Field:
    centres = ((np.arange(count) - (count - 1) / 2) * step).astype(np.float32)
    centres.flags.writeable = False
    return centres


def _clipped(centre: float, reach: float, count: int) -> slice:
    start = min(max(int(np.floor(centre - reach)), 0), count)
    return slice(start, max(start, min(int(np.ceil(centre + reach)) + 1, count)))


def smooth_noise(rng: np.random.Generator, grid: Grid, cell_m: float) -> Field:
    """Draw a smooth Gaussian field of zero mean and unit variance.

    A lattice of independent normal values is interpolated with cubic B-splines, one matrix product per axis.

    Args:
        rng: source of randomness.
        grid: pixel grid of the scene.
        cell_m: lattice spacing in metres, never finer than 1.5 px.

    Returns:
        Field of shape (H, W).
    """
    step = min(grid.resolution_m / cell_m, 1 / 1.5)
    rows = _spline_weights(grid.height, step, rng.random())
    cols = _spline_weights(grid.width, step, rng.random())
    lattice = rng.standard_normal((rows.shape[1], cols.shape[1]), dtype=np.float32)
    return np.asarray(rows @ (lattice @ cols.T), dtype=np.float32)


def white_noise(rng: np.random.Generator, grid: Grid) -> Field:
    """Draw independent standard normal values, shape (H, W)."""
    return rng.standard_normal((grid.height, grid.width), dtype=np.float32)


def _spline_weights(count: int, step: float, start: float) -> Field:
    position = np.arange(count) * step + start
    cell = np.floor(position).astype(np.intp)
    t = position - cell
    parts = ((1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3)
    weights = np.zeros((count, int(cell[-1]) + 4), dtype=np.float32)
    for offset, part in enumerate(parts):
        weights[np.arange(count), cell + offset] = part
    return np.asarray(weights / np.linalg.norm(weights, axis=1, keepdims=True), dtype=np.float32)
