"""Paint the roads and the water of a synthetic landscape."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape.canvas import BARE_SOIL, ROAD, WATER, Canvas
from geoseg.domain.landscape.courses import Corridor
from geoseg.domain.landscape.day import Colour
from geoseg.domain.landscape.noise import Field, Grid, smooth_noise, white_noise

_SHALLOW: Colour = (122, 116, 88)


def paint_water(rng: np.random.Generator, canvas: Canvas, nearness: Field) -> None:
    """Paint water that darkens with depth, its ripples, and its shores, partly sandy and partly overgrown."""
    is_water = nearness < 1
    grid = canvas.grid
    slow = smooth_noise(rng, grid, 30.0)
    fine = 0.05 * smooth_noise(rng, grid, 1.2) + 0.02 * white_noise(rng, grid)
    shore = (nearness >= 1) & (nearness < 1 + 0.07 * (1 + slow.clip(-1, 1)))
    beach = shore & (slow > 0.55)
    canvas.paint(shore & ~beach, (82, 92, 58), tone=3 * fine)
    canvas.paint(beach, (170, 150, 118), tone=2 * fine, land=BARE_SOIL)
    canvas.paint(is_water, canvas.day.water, tone=0.07 * slow + _ripples(rng, grid) + 0.5 * fine, land=WATER)
    shallow = ((nearness - 0.62) / 0.45).clip(0, 1) ** 2
    canvas.tint(is_water, _SHALLOW, opacity=0.75 * shallow + 0.04 * slow)


def _ripples(rng: np.random.Generator, grid: Grid) -> Field:
    """Draw short waves of 1.5 to 3 m with varying amplitude."""
    angle, length = rng.uniform(0, np.pi), rng.uniform(1.5, 3.0)
    phase = 2 * np.pi / length * (grid.x * np.cos(angle) + grid.y * np.sin(angle))
    wave = np.sin(phase.astype(np.float32) + 2 * smooth_noise(rng, grid, 4.0))
    calm = rng.uniform(0.01, 0.035) * smooth_noise(rng, grid, 18.0)
    return np.asarray(wave * calm, dtype=np.float32)


def paint_tracks(rng: np.random.Generator, canvas: Canvas, corridor: Corridor) -> NDArray[np.bool_]:
    """Paint unpaved tracks with two wheel ruts and grass in between; return their pixels."""
    is_track = corridor.distance <= corridor.half_width
    grain = smooth_noise(rng, canvas.grid, 2.0)
    tone = 0.05 * grain + 0.04 * white_noise(rng, canvas.grid)
    gravel = ((158, 146, 122), (146, 126, 100), (142, 138, 130))[rng.integers(3)]
    canvas.paint(is_track, gravel, tone=tone, land=ROAD)
    middle = 0.45 * np.exp(-((corridor.distance / np.float32(0.4)) ** 2)) + 0.18 * grain
    canvas.tint(is_track, (104, 112, 72), opacity=middle * (corridor.half_width < 1.9))
    return is_track


def paint_paved(rng: np.random.Generator, canvas: Canvas, corridor: Corridor) -> NDArray[np.bool_]:
    """Paint asphalt with worn lanes, and lane markings on wide roads; return its pixels."""
    distance, half = corridor.distance, corridor.half_width
    is_paved = distance <= half
    slow = smooth_noise(rng, canvas.grid, 14.0)
    lanes = -0.05 * np.exp(-(((distance - half / 2) / np.float32(0.6)) ** 2))
    grain = 0.03 * smooth_noise(rng, canvas.grid, 1.0) + 0.02 * white_noise(rng, canvas.grid)
    canvas.paint(
        is_paved,
        canvas.day.asphalt,
        tone=0.06 * slow + lanes + grain,
        land=ROAD,
    )
    _mark_lines(rng, canvas, corridor)
    return is_paved


def _mark_lines(rng: np.random.Generator, canvas: Canvas, corridor: Corridor) -> None:
    """Paint the centre line, 3 m dashes every 9 m or solid, and the edge lines; the opacity follows the line width."""
    resolution = canvas.grid.resolution_m
    is_wide = corridor.half_width > 2.7
    dash = 9.0 if rng.random() < 0.3 else 3.0
    centre = is_wide & (corridor.distance < 0.6 * resolution) & (np.mod(corridor.along, 9.0) < dash)
    edge = is_wide & (np.abs(corridor.half_width - corridor.distance - 0.3) < 0.5 * resolution)
    cover = np.full(centre.shape, min(1.0, 0.16 / resolution), dtype=np.float32)
    canvas.tint(centre, (228, 228, 222), opacity=cover)
    canvas.tint(edge, (222, 222, 216), opacity=np.float32(0.7) * cover)


def paint_verges(rng: np.random.Generator, canvas: Canvas, corridor: Corridor) -> None:
    """Paint the grass verges of 1.5 m along roads."""
    beyond = corridor.distance - corridor.half_width
    verge = (beyond > 0) & (beyond < 1.5) & (canvas.mask != WATER)
    opacity = 0.5 + 0.25 * smooth_noise(rng, canvas.grid, 3.0) - 0.2 * beyond.clip(0, 2)
    canvas.tint(verge, (116, 120, 76), opacity=opacity)
    canvas.mask[verge & (canvas.mask == BARE_SOIL)] = 0
