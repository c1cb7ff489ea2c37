"""Place buildings along the roads of a synthetic landscape, and paint them with their yards and gardens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.domain.landscape.canvas import BARE_SOIL, BUILDING, FIELD, ROAD, WATER, Canvas
from geoseg.domain.landscape.courses import Road
from geoseg.domain.landscape.day import Colour
from geoseg.domain.landscape.noise import Field, Grid

Box = tuple[slice, slice]

_TILES: tuple[Colour, ...] = (
    (160, 88, 66),
    (140, 88, 70),
    (172, 108, 84),
    (76, 76, 82),
    (112, 86, 76),
    (132, 132, 134),
)
_SHEETS: tuple[Colour, ...] = (
    (140, 140, 136),
    (176, 176, 172),
    (86, 88, 92),
    (120, 126, 122),
    (128, 104, 90),
)
_GARDENS: tuple[Colour, ...] = ((98, 122, 70), (112, 128, 80), (88, 106, 62))
_YARDS: tuple[Colour, ...] = ((152, 142, 126), (136, 118, 96), (164, 146, 118))


class Part(NamedTuple):
    """A rectangular part of a building: centre, direction of the ridge (radians), and half sizes in metres."""

    x: float
    y: float
    angle: float
    half_length: float
    half_width: float


@dataclass(frozen=True)
class Building:
    """A building: parts (largest first), height of the eaves (m), slope (radians), and shape and colour of the roof."""

    parts: tuple[Part, ...]
    eaves_m: float
    slope: float
    is_hipped: bool
    colour: Colour


def place_buildings(
    rng: np.random.Generator, grid: Grid, roads: tuple[Road, ...], *, blocked: NDArray[np.bool_]
) -> list[Building]:
    """Place buildings along roads, densest around a village, until they cover a target share of the scene.

    Args:
        rng: source of randomness.
        grid: pixel grid of the scene.
        roads: the roads.
        blocked: pixels (H, W) that must stay free of buildings; not changed.

    Returns:
        Buildings that do not touch each other.
    """
    taken = blocked.copy()
    wanted = rng.uniform(0.024, 0.05) * blocked.size
    buildings: list[Building] = []
    for site in _sites(rng, grid, roads):
        if wanted <= 0:
            break
        building = _design(rng, site)
        if any(_covers(grid, part, margin_m=1.8, taken=taken) for part in building.parts):
            continue
        wanted -= sum(_occupy(grid, part, margin_m=1.8, taken=taken) for part in building.parts)
        buildings.append(building)
    return buildings


def _sites(rng: np.random.Generator, grid: Grid, roads: tuple[Road, ...]) -> list[tuple[float, float, float]]:
    """Return x, y of road edges and the direction away from the road, nearest to the village first."""
    half = np.array([grid.width, grid.height]) * grid.resolution_m / 2
    middles = np.concatenate([(road.line[1:] + road.line[:-1]) / 2 for road in roads])
    along = np.concatenate([np.diff(road.line, axis=0) for road in roads])
    edge = np.concatenate([np.full(len(road.line) - 1, road.width_m / 2) for road in roads])
    angle = np.arctan2(along[:, 1], along[:, 0])
    sides = np.concatenate([angle + np.pi / 2, angle - np.pi / 2])
    edges = np.concatenate([middles, middles]) + np.tile(edge, 2)[:, None] * np.stack(
        [np.cos(sides), np.sin(sides)], axis=1
    )
    inside = np.flatnonzero((np.abs(edges) < half).all(axis=1))
    if not len(inside):
        return []
    village = edges[rng.choice(inside)]
    remote = np.hypot(*(edges[inside] - village).T) + rng.exponential(0.16 * grid.extent_m, len(inside))
    order = inside[np.argsort(remote)]
    return [(float(edges[n, 0]), float(edges[n, 1]), float(sides[n])) for n in order]


def _design(rng: np.random.Generator, site: tuple[float, float, float]) -> Building:
    """Draw a house, a hall or a shed, with its front 3 to 9 m from the edge of the road."""
    x, y, away = site
    kind = rng.choice(3, p=(0.68, 0.16, 0.16))
    length, width = rng.uniform(((9, 7), (16, 9), (5, 4))[kind], ((15, 10), (30, 14), (8, 6))[kind])
    has_gable_front = bool(rng.random() < 0.3)
    turn = away + rng.normal(0, 0.06) + (0 if has_gable_front else np.pi / 2)
    depth = (length if has_gable_front else width) / 2 + rng.uniform(3, 9)
    main = Part(x + depth * np.cos(away), y + depth * np.sin(away), turn, length / 2, width / 2)
    parts = (main, _wing(rng, main)) if kind < 2 and rng.random() < 0.4 else (main,)
    is_flat = bool(rng.random() < (0.12, 0.4, 0.6)[kind])
    slope = 0.0 if is_flat else np.radians(rng.uniform((30, 8, 10)[kind], (46, 20, 25)[kind]))
    palette = _SHEETS if is_flat or kind == 1 else _TILES
    red, green, blue = (
        np.array(palette[rng.integers(len(palette))]) * rng.normal(1, 0.07) * rng.normal(1, 0.03, 3)
    )
    eaves = rng.uniform((3.2, 4.5, 2.2)[kind], (6.0, 7.5, 2.8)[kind])
    return Building(
        parts, eaves, float(slope), bool(rng.random() < 0.25), (float(red), float(green), float(blue))
    )


def _wing(rng: np.random.Generator, main: Part) -> Part:
    """Draw a wing across one end of the main part; the two form an L."""
    half_width = main.half_width * rng.uniform(0.65, 0.95)
    half_length = main.half_width * rng.uniform(1.1, 1.5)
    a = rng.choice([-1, 1]) * (main.half_length - half_width)
    b = rng.choice([-1, 1]) * (half_length - main.half_width * rng.uniform(0.2, 0.6))
    cos, sin = np.cos(main.angle), np.sin(main.angle)
    return Part(
        main.x + a * cos - b * sin,
        main.y + a * sin + b * cos,
        main.angle + np.pi / 2,
        half_length,
        half_width,
    )


def _local(grid: Grid, part: Part, margin_m: float) -> tuple[Box, Field, Field]:
    """Return the bounding box of a part, and the pixel positions along and across its ridge in metres."""
    box = grid.box(part.x, part.y, float(np.hypot(part.half_length, part.half_width)) + 1.5 * margin_m)
    dx, dy = grid.x[:, box[1]] - np.float32(part.x), grid.y[box[0]] - np.float32(part.y)
    cos, sin = np.float32(np.cos(part.angle)), np.float32(np.sin(part.angle))
    return box, dx * cos + dy * sin, dy * cos - dx * sin


def _covers(grid: Grid, part: Part, *, margin_m: float, taken: NDArray[np.bool_]) -> bool:
    box, a, b = _local(grid, part, margin_m)
    near = (np.abs(a) < part.half_length + margin_m) & (np.abs(b) < part.half_width + margin_m)
    return not near.any() or bool(taken[box][near].any())


def _occupy(grid: Grid, part: Part, *, margin_m: float, taken: NDArray[np.bool_]) -> int:
    """Mark a part with a margin as taken; return the number of pixels of the part."""
    box, a, b = _local(grid, part, margin_m)
    beyond = np.maximum(np.abs(a) - part.half_length, np.abs(b) - part.half_width)
    taken[box] |= beyond < margin_m
    return int((beyond < 0).sum())


def paint_lots(rng: np.random.Generator, canvas: Canvas, buildings: list[Building]) -> NDArray[np.bool_]:
    """Paint a garden (class field) or a yard (class bare soil) around every building; return their pixels."""
    lots = np.zeros(canvas.mask.shape, dtype=bool)
    for building in buildings:
        is_yard = bool(rng.random() < (0.7 if building.parts[0].half_length > 8 else 0.2))
        main, margin = building.parts[0], rng.uniform(3.5, 8.0)
        box, a, b = _local(canvas.grid, main, margin)
        inside = (np.abs(a) < main.half_length + margin) & (np.abs(b) < main.half_width + margin)
        inside &= (canvas.mask[box] != ROAD) & (canvas.mask[box] != WATER)
        palette = _YARDS if is_yard else _GARDENS
        tone = 1 + _mottle(rng, inside.shape, canvas.grid.resolution_m)
        colour = np.array(palette[rng.integers(3)], dtype=np.float32) * np.float32(rng.normal(1, 0.06))
        canvas.colour[:, *box][:, inside] = colour[:, None] * tone[inside]
        canvas.mask[box][inside] = BARE_SOIL if is_yard else FIELD
        lots[box] |= inside
    return lots


def _mottle(rng: np.random.Generator, shape: tuple[int, ...], resolution_m: float) -> Field:
    """Draw relative brightness with spots of about 2 m and single-pixel grain."""
    grain = rng.standard_normal(shape, dtype=np.float32)
    spots = ndimage.gaussian_filter(grain, 0.8 / resolution_m)
    return np.asarray(0.04 * grain + 0.16 * (0.8 / resolution_m) * spots, dtype=np.float32)


def paint_building(rng: np.random.Generator, canvas: Canvas, building: Building) -> None:
    """Paint the roofs of all parts of a building; where two overlap, the higher one is visible."""
    for part in building.parts:
        box, a, b = _local(canvas.grid, part, 0.5)
        drop = part.half_width - np.abs(b)
        inside = (drop >= 0) & (np.abs(a) <= part.half_length)
        is_end = inside & building.is_hipped & (part.half_length - np.abs(a) < drop)
        drop = np.where(is_end, part.half_length - np.abs(a), drop)
        height = np.float32(building.eaves_m) + drop * np.float32(np.tan(building.slope))
        shows = inside & (height > canvas.surface_m[box])
        canvas.surface_m[box][shows] = height[shows]
        canvas.mask[box][shows] = BUILDING
        towards = np.where(is_end, part.angle + np.pi * (a < 0), part.angle + np.pi / 2 + np.pi * (b < 0))
        canvas.light[box][shows] = _roof_light(canvas, building.slope, towards)[shows]
        tone = _roof_tone(rng, building, a, b=b, edge_m=drop)
        canvas.colour[:, *box][:, shows] = np.array(building.colour, dtype=np.float32)[:, None] * tone[shows]
    _add_panels(rng, canvas, building)


def _roof_light(canvas: Canvas, slope: float, towards: NDArray[np.floating]) -> Field:
    level = np.sin(slope)
    east, south = (np.asarray(level * f(towards), dtype=np.float32) for f in (np.cos, np.sin))
    return canvas.day.sun.light(east, south, np.full_like(east, np.cos(slope)))


def _roof_tone(
    rng: np.random.Generator, building: Building, a: Field, *, b: Field, edge_m: NDArray[np.floating]
) -> Field:
    """Return the brightness of a roof: courses of tiles, weathering, ridge and gutter, or the rim of a flat roof."""
    grain = 0.035 * rng.standard_normal(b.shape, dtype=np.float32)
    if building.slope == 0:
        return np.asarray(1 + grain + np.where(edge_m < 0.45, 0.13, 0.0), dtype=np.float32)
    courses = 0.05 * np.sin(
        np.float32(2 * np.pi / rng.uniform(0.7, 1.3)) * (a if building.slope < 0.4 else b)
    )
    weathering = 0.05 * np.sin(a * np.float32(rng.uniform(0.4, 1.0)) + np.float32(rng.uniform(0, 6)))
    ridge = np.where(np.abs(b) < 0.22, 0.12, 0.0) - np.where(edge_m < 0.3, 0.12, 0.0)
    return np.asarray(1 + grain + courses + weathering + ridge, dtype=np.float32)


def _add_panels(rng: np.random.Generator, canvas: Canvas, building: Building) -> None:
    """Paint solar panels on one side of some roofs, and roof lights or vents on others."""
    main = building.parts[0]
    box, a, b = _local(canvas.grid, main, 0.0)
    if rng.random() < 0.22:
        field = (np.abs(a) < 0.7 * main.half_length) & (
            np.abs(b - main.half_width / 2) < 0.36 * main.half_width
        )
        colour = np.array((52, 58, 76), dtype=np.float32)
    else:
        at_a, at_b = rng.uniform(-0.7, 0.7) * main.half_length, rng.uniform(-0.7, 0.7) * main.half_width
        field = (np.abs(a - at_a) < 0.5) & (np.abs(b - at_b) < 0.5)
        colour = np.full(3, rng.choice([70.0, 190.0]), dtype=np.float32)
    field &= canvas.mask[box] == BUILDING
    canvas.colour[:, *box][:, field] = colour[:, None]
