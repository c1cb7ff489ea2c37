"""Layout of a synthetic landscape: coordinates along the main road, and parcels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape.noise import Field, Grid, smooth_noise

Line = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """Curved coordinates of a scene: s along its main road, v across it, both in metres."""

    x: float
    y: float
    angle: float
    bend_m: float
    wavelength_m: float
    phase: float


@dataclass(frozen=True)
class Parcels:
    """Land parcels: ids (H, W) from 0 to count - 1, row direction of each (radians), band edges (m) and margins (H, W)."""

    ids: NDArray[np.int32]
    directions: NDArray[np.float64]
    edges_m: Line
    margin: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """The number of parcels."""
        return len(self.directions)


def plan_frame(rng: np.random.Generator, grid: Grid) -> Frame:
    """Draw the course of the main road, through the central part of the scene."""
    shift = 0.16 * grid.resolution_m * np.array([grid.width, grid.height])
    x, y = rng.uniform(-shift, shift)
    wavelength = rng.uniform(0.9, 2.5) * max(grid.extent_m, 120.0)
    bend = rng.uniform(0.0, 0.055) * wavelength
    return Frame(float(x), float(y), rng.uniform(0, np.pi), bend, wavelength, rng.uniform(0, 2 * np.pi))


def frame_coordinates(frame: Frame, grid: Grid) -> tuple[Field, Field]:
    """Return s and v of every pixel, each of shape (H, W), in metres."""
    x, y = grid.x - np.float32(frame.x), grid.y - np.float32(frame.y)
    cos, sin = np.float32(np.cos(frame.angle)), np.float32(np.sin(frame.angle))
    s = x * cos + y * sin
    return s, y * cos - x * sin - _bend(frame, s).astype(np.float32)


def to_xy(frame: Frame, s: Line, v: Line) -> Line:
    """Convert frame coordinates to x, y; shape (P, 2), in metres."""
    across = v + _bend(frame, s)
    cos, sin = np.cos(frame.angle), np.sin(frame.angle)
    return np.stack([frame.x + s * cos - across * sin, frame.y + s * sin + across * cos], axis=-1)


def _bend(frame: Frame, s: NDArray[np.floating]) -> NDArray[np.floating]:
    wave = np.sin(s * np.float32(2 * np.pi / frame.wavelength_m) + np.float32(frame.phase))
    return np.asarray(np.float32(frame.bend_m) * (wave - np.float32(np.sin(frame.phase))))


def divide_parcels(rng: np.random.Generator, grid: Grid, frame: Frame) -> Parcels:
    """Divide the scene into bands along the main road, and each band into parcels."""
    s, v = frame_coordinates(frame, grid)
    s += 1.0 * smooth_noise(rng, grid, 30.0)
    v += 0.8 * smooth_noise(rng, grid, 30.0)
    edges = _band_edges(rng, grid)
    band = np.searchsorted(edges, v.ravel()).reshape(v.shape)
    skew = rng.uniform(-0.22, 0.22, len(edges) + 1).astype(np.float32)
    far = 4 * grid.half_diagonal_m + 200.0
    cuts = [number * far + _cuts(rng, grid) for number in range(len(edges) + 1)]
    keys = band * far + s + skew[band] * v
    raw = np.searchsorted(np.concatenate(cuts), keys.ravel())
    ids = np.unique(raw, return_inverse=True)[1].reshape(s.shape).astype(np.int32)
    quarter_turns = rng.integers(0, 2, ids.max() + 1) * np.pi / 2
    directions = frame.angle + quarter_turns + rng.normal(0, 0.12, len(quarter_turns))
    return Parcels(ids, directions, edges, _margin(ids, grid))


def _band_edges(rng: np.random.Generator, grid: Grid) -> Line:
    depth = min(95.0, grid.extent_m / 3.2)
    steps = rng.uniform(0.55, 1.25, (2, 2 + int(grid.half_diagonal_m * 2 / (0.55 * depth)))) * depth
    outward = np.cumsum(steps, axis=1)
    return np.concatenate([-outward[0][::-1], [0.0], outward[1]])


def _cuts(rng: np.random.Generator, grid: Grid) -> Line:
    mean = min(rng.uniform(30.0, 120.0), grid.extent_m / 3.0)
    reach = 1.6 * grid.half_diagonal_m + mean
    steps = rng.uniform(0.4, 1.6, int(2 * reach / (0.4 * mean)) + 1) * mean
    cuts = np.cumsum(steps) - reach
    return cuts[cuts < reach]


def _margin(ids: NDArray[np.int32], grid: Grid) -> NDArray[np.bool_]:
    reach = max(1, round(0.7 / grid.resolution_m))
    margin = np.zeros(ids.shape, dtype=bool)
    margin[reach:] |= ids[reach:] != ids[:-reach]
    margin[:, reach:] |= ids[:, reach:] != ids[:, :-reach]
    return margin
