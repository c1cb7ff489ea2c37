"""Geometry of the roads and the water of a synthetic landscape, in metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from geoseg.domain.landscape.layout import Frame, Line, to_xy
from geoseg.domain.landscape.noise import Field, Grid, smooth_noise


@dataclass(frozen=True)
class Road:
    """A road: its centre line as points x, y of shape (P, 2) in metres, its width, and whether it is paved."""

    line: Line
    width_m: float
    is_paved: bool


class Segment(NamedTuple):
    """A straight segment of a line: start x, y, unit direction, length, and start position along the line, in metres."""

    x: float
    y: float
    east: float
    south: float
    length_m: float
    start_m: float


@dataclass(frozen=True)
class Corridor:
    """Pixels near lines: distance to the centre line, position along it, and half width of that line, in metres."""

    distance: Field
    along: Field
    half_width: Field


def plan_roads(rng: np.random.Generator, grid: Grid, frame: Frame, *, edges_m: Line) -> tuple[Road, ...]:
    """Plan a connected road network: a main road, roads across it, and tracks along the edges of parcels."""
    reach = grid.half_diagonal_m * 1.5
    s = np.arange(-reach, reach, 6.0)
    roads = [Road(to_xy(frame, s, np.zeros_like(s)), rng.uniform(5.5, 7.5), True)]
    courses = []
    for number, start in enumerate(_crossings(rng, grid)):
        is_paved = number % 2 == 1 or bool(rng.random() < 0.35)
        width = rng.uniform(4.2, 5.5) if is_paved else rng.uniform(2.8, 3.8)
        sway = rng.uniform(2.0, 6.0) * np.sin(s / rng.uniform(25.0, 50.0))
        courses.append(start + sway - sway[len(s) // 2])
        roads.append(Road(to_xy(frame, courses[-1], s), width, is_paved))
    for edge in _spread_edges(rng, edges_m, grid):
        start = np.interp(edge, s, courses[0])
        along = start + rng.choice([-1, 1]) * np.arange(0.0, 2 * reach, 6.0)
        roads.append(Road(to_xy(frame, along, np.full_like(along, edge)), rng.uniform(2.6, 3.6), False))
    return tuple(roads)


def _crossings(rng: np.random.Generator, grid: Grid) -> Line:
    first = rng.uniform(-0.2, 0.2) * grid.extent_m
    spacing = rng.uniform(170.0, 260.0)
    count = int(grid.half_diagonal_m / spacing)
    return np.array([first, *(first + side * n * spacing for n in range(1, count + 1) for side in (-1, 1))])


def _spread_edges(rng: np.random.Generator, edges_m: Line, grid: Grid) -> Line:
    """Choose edges of bands in the scene for tracks, about one per 130 m."""
    inside = edges_m[(np.abs(edges_m) > 20.0) & (np.abs(edges_m) < 0.42 * grid.extent_m)]
    count = min(len(inside), max(1, round(grid.extent_m / 130.0)))
    return rng.choice(inside, count, replace=False) if len(inside) else inside


def distance_to_lines(grid: Grid, roads: tuple[Road, ...], margin_m: float) -> Corridor:
    """Measure the distance to the nearest line, relative to its width, and the position along it."""
    shape = (grid.height, grid.width)
    corridor = Corridor(*(np.full(shape, value, dtype=np.float32) for value in (np.inf, 0.0, 1.0)))
    for road in roads:
        steps = np.diff(road.line, axis=0)
        lengths = np.hypot(steps[:, 0], steps[:, 1])
        starts = np.cumsum(lengths) - lengths
        for number, length in enumerate(lengths):
            x, y, east, south = (float(v) for v in (*road.line[number], *steps[number] / length))
            segment = Segment(x, y, east, south, float(length), float(starts[number]))
            _near_segment(corridor, grid, segment, half_width=road.width_m / 2, margin_m=margin_m)
    return corridor


def _near_segment(
    corridor: Corridor, grid: Grid, segment: Segment, *, half_width: float, margin_m: float
) -> None:
    x0, y0, east, south, length, start = (np.float32(value) for value in segment)
    reach = half_width + margin_m
    box = grid.box(
        float(x0 + east * length / 2), float(y0 + south * length / 2), segment.length_m / 2 + reach
    )
    x, y = grid.x[:, box[1]] - x0, grid.y[box[0]] - y0
    if not x.size or not y.size:
        return
    t = (x * east + y * south).clip(0, length)
    distance = np.hypot(x - t * east, y - t * south)
    half = corridor.half_width[box]
    nearer = (distance / half_width < corridor.distance[box] / half) & (distance < reach)
    corridor.distance[box][nearer] = distance[nearer]
    corridor.along[box][nearer] = t[nearer] + start
    half[nearer] = half_width


def plan_water(rng: np.random.Generator, grid: Grid, frame: Frame, *, roads: tuple[Road, ...]) -> Field:
    """Plan a river with lakes, or lakes only; return 0 at the deepest line, 1 at the shore and more on land, (H, W)."""
    ragged = 0.16 * smooth_noise(rng, grid, 14.0) + 0.07 * smooth_noise(rng, grid, 4.0)
    has_river = bool(rng.random() < 0.55)
    share = rng.uniform(0.015, 0.03) if has_river else rng.uniform(0.05, 0.09)
    nearness = _lakes(rng, grid, roads, share=share)
    if has_river:
        bed = distance_to_lines(grid, (_river(rng, grid, frame),), 6.0)
        nearness = np.minimum(nearness, bed.distance / bed.half_width)
    return nearness + ragged


def _river(rng: np.random.Generator, grid: Grid, frame: Frame) -> Road:
    reach = grid.half_diagonal_m * 1.5
    along = np.arange(-reach, reach, 5.0)
    offset = rng.choice([-1, 1]) * rng.uniform(0.16, 0.3) * grid.extent_m
    swing = rng.uniform(0.04, 0.09) * grid.extent_m
    length = rng.uniform(0.5, 1.0) * max(grid.extent_m, 100.0)
    across = offset + swing * np.sin(2 * np.pi * along / length) + 4.0 * np.sin(along / 17.0)
    width = rng.uniform(0.035, 0.07) * min(grid.extent_m, 400.0)
    is_parallel = bool(rng.random() < 0.6)
    line = to_xy(frame, along, across) if is_parallel else to_xy(frame, across, along)
    return Road(line, width, False)


def _lakes(rng: np.random.Generator, grid: Grid, roads: tuple[Road, ...], *, share: float) -> Field:
    count = 1 + int(grid.extent_m / 450.0)
    radius = float(np.sqrt(share * grid.extent_m**2 / np.pi / count))
    nearest = np.full((grid.height, grid.width), np.inf, dtype=np.float32)
    for _ in range(count):
        x, y = _clear_place(rng, grid, roads)
        turn, stretch = rng.uniform(0, np.pi), rng.uniform(1.0, 1.35)
        dx, dy = grid.x - np.float32(x), grid.y - np.float32(y)
        a = (dx * np.float32(np.cos(turn)) + dy * np.float32(np.sin(turn))) / np.float32(radius * stretch)
        b = (dy * np.float32(np.cos(turn)) - dx * np.float32(np.sin(turn))) / np.float32(radius / stretch)
        np.minimum(nearest, np.hypot(a, b), out=nearest)
    return nearest


def _clear_place(rng: np.random.Generator, grid: Grid, roads: tuple[Road, ...]) -> tuple[float, float]:
    """Choose the position farthest from roads among random positions in the scene."""
    half = 0.4 * grid.resolution_m * np.array([grid.width, grid.height])
    places = rng.uniform(-half, half, (14, 2))
    lines = np.concatenate([road.line for road in roads])
    clearance = np.hypot(*(places[:, None] - lines[None]).transpose(2, 0, 1)).min(axis=1)
    x, y = places[clearance.argmax()]
    return float(x), float(y)
