"""Place and paint the trees of a synthetic landscape: woods, hedges, gardens and single trees."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape.canvas import BUILDING, ROAD, WATER, WOODLAND, Canvas
from geoseg.domain.landscape.layout import Parcels
from geoseg.domain.landscape.noise import Field, Grid, smooth_noise

_LEAFY = np.array([(74, 100, 56), (84, 108, 60), (66, 90, 54), (98, 112, 62), (72, 92, 48)], dtype=np.float32)
_NEEDLES = np.array([(52, 76, 54), (58, 80, 52), (46, 68, 50)], dtype=np.float32)


@dataclass(frozen=True)
class Trees:
    """Trees: positions x, y, crown radii and heights, metres, and crown colours (T, 3)."""

    x: Field
    y: Field
    radius: Field
    height: Field
    colour: Field


def plant_trees(
    rng: np.random.Generator, canvas: Canvas, parcels: Parcels, *, lots: NDArray[np.bool_]
) -> Trees:
    """Place dense woods with gaps, hedges along some parcels, and trees in gardens and meadows."""
    woods = _plant_woods(rng, canvas)
    is_hedged = rng.random(parcels.count) < rng.uniform(0.1, 0.4)
    hedges = _plant_sparsely(rng, canvas, parcels.margin & is_hedged[parcels.ids], spacing_m2=1.6)
    gardens = _plant_sparsely(rng, canvas, lots, spacing_m2=110.0)
    single = _plant_sparsely(rng, canvas, np.ones(lots.shape, dtype=bool), spacing_m2=2500.0)
    sets = (woods, hedges, gardens, single)
    return Trees(
        *(
            np.concatenate([getattr(trees, name) for trees in sets])
            for name in ("x", "y", "radius", "height", "colour")
        )
    )


def _plant_woods(rng: np.random.Generator, canvas: Canvas) -> Trees:
    grid = canvas.grid
    spacing = rng.uniform(3.0, 4.2)
    half_x, half_y = grid.width * grid.resolution_m / 2, grid.height * grid.resolution_m / 2
    x, y = np.meshgrid(np.arange(-half_x, half_x, spacing), np.arange(-half_y, half_y, 0.85 * spacing))
    x = (x + spacing * (0.5 * (np.arange(len(x)) % 2)[:, None] + rng.uniform(-0.42, 0.42, x.shape))).ravel()
    y = (y + 0.85 * spacing * rng.uniform(-0.42, 0.42, y.shape)).ravel()
    at = grid.pixel(x, y)
    is_gap = smooth_noise(rng, grid, 9.0)[at] > rng.uniform(1.3, 2.2)
    keep = (canvas.mask[at] == WOODLAND) & ~is_gap
    needles = smooth_noise(rng, grid, 45.0)[at][keep] > rng.uniform(-0.6, 1.8)
    return _grow(rng, x[keep], y[keep], mean_radius=0.62 * spacing, has_needles=needles)


def _plant_sparsely(
    rng: np.random.Generator, canvas: Canvas, where: NDArray[np.bool_], *, spacing_m2: float
) -> Trees:
    """Place trees at random pixels outside woods, roads, buildings and water, one per `spacing_m2` of ground."""
    grid = canvas.grid
    index = np.flatnonzero(where & ~np.isin(canvas.mask, (WOODLAND, ROAD, BUILDING, WATER)))
    count = rng.poisson(len(index) * grid.resolution_m**2 / spacing_m2)
    chosen = rng.choice(index, min(count, len(index)), replace=False) if len(index) else index
    x = grid.x.ravel()[chosen % grid.width]
    y = grid.y.ravel()[chosen // grid.width]
    return _grow(rng, x, y, mean_radius=1.5, has_needles=np.zeros(len(x), dtype=bool))


def _grow(
    rng: np.random.Generator,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    *,
    mean_radius: float,
    has_needles: NDArray[np.bool_],
) -> Trees:
    count = len(x)
    radius = mean_radius * rng.lognormal(0.0, 0.26, count) * np.where(has_needles, 0.78, 1.0)
    height = 1.5 + 2.6 * radius * rng.uniform(0.8, 1.25, count) + 3.0 * has_needles
    leafy = _LEAFY[rng.integers(len(_LEAFY), size=count)]
    needles = _NEEDLES[rng.integers(len(_NEEDLES), size=count)]
    colour = (
        np.where(has_needles[:, None], needles, leafy)
        * rng.normal(1, 0.10, (count, 1))
        * rng.normal(1, 0.03, (count, 3))
    )
    return Trees(*(np.asarray(values, dtype=np.float32) for values in (x, y, radius, height, colour)))


def paint_trees(rng: np.random.Generator, canvas: Canvas, trees: Trees) -> None:
    """Paint sunlit crowns; the highest crown is visible, and roads and roofs are left out."""
    ragged = 0.16 * smooth_noise(rng, canvas.grid, 1.3) + 0.16
    canopy = np.zeros_like(canvas.surface_m)
    owner = np.full(canvas.mask.shape, -1, dtype=np.int32)
    for number in range(len(trees.x)):
        _raise_crown(canvas.grid, trees, number, ragged=ragged, canopy=canopy, owner=owner)
    rows, cols = np.nonzero((owner >= 0) & (canvas.mask != ROAD) & (canvas.mask != BUILDING))
    tree = owner[rows, cols]
    leaves = smooth_noise(rng, canvas.grid, 0.7)[rows, cols]
    tone = 1 + 0.12 * leaves + 0.05 * rng.standard_normal(len(rows), dtype=np.float32)
    canvas.colour[:, rows, cols] = trees.colour[tree].T * tone
    canvas.light[rows, cols] = _crown_light(canvas, trees, tree, rows=rows, cols=cols) * (1 + 0.10 * leaves)
    canvas.surface_m[rows, cols] = canopy[rows, cols]
    canvas.mask[rows, cols] = WOODLAND


def _raise_crown(
    grid: Grid, trees: Trees, number: int, *, ragged: Field, canopy: Field, owner: NDArray[np.int32]
) -> None:
    """Raise the canopy to the height of one ragged hemispherical crown, and record its tree."""
    x, y, radius = trees.x[number], trees.y[number], trees.radius[number]
    box = grid.box(float(x), float(y), 1.15 * float(radius))
    dx, dy = (grid.x[0, box[1]] - x) / radius, (grid.y[box[0]] - y) / radius
    inward = 1 - dx * dx - dy * dy - ragged[box]
    top = trees.height[number] - radius * (1 - np.sqrt(np.maximum(inward, 0)))
    higher = (inward > 0) & (top > canopy[box])
    np.copyto(canopy[box], top, where=higher)
    np.copyto(owner[box], number, where=higher)


def _crown_light(
    canvas: Canvas, trees: Trees, tree: NDArray[np.int32], *, rows: NDArray[np.intp], cols: NDArray[np.intp]
) -> Field:
    """Light the crowns as hemispheres; leaves transmit some light, so the shaded side is not black."""
    dx = (canvas.grid.x[0, cols] - trees.x[tree]) / trees.radius[tree]
    dy = (canvas.grid.y[rows, 0] - trees.y[tree]) / trees.radius[tree]
    up = np.sqrt(np.maximum(1 - dx * dx - dy * dy, 0)) + np.float32(0.35)
    norm = np.sqrt(dx * dx + dy * dy + up * up)
    return np.float32(0.10) + np.float32(0.85) * canvas.day.sun.light(dx / norm, dy / norm, up / norm)
