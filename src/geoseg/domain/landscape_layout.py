"""Where things are in an invented landscape: parcels, roads and water, in metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape_noise import Field, Grid, smooth_noise

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
    """Parcels of land: their ids (H, W) from 0 to count - 1, row direction of each (radians), and band edges (m)."""

    ids: NDArray[np.int32]
    directions: NDArray[np.float64]
    edges_m: Line
    margin: NDArray[np.bool_]

    @property
    def count(self) -> int:
        """Give the number of parcels."""
        return len(self.directions)


@dataclass(frozen=True)
class Road:
    """A road: its centre line as points x, y of shape (P, 2) in metres, its width, and whether it is paved."""

    line: Line
    width_m: float
    is_paved: bool


@dataclass(frozen=True)
class Corridor:
    """Pixels near lines: distance to the centre line and position along it, metres; half width of that line."""

    distance: Field
    along: Field
    half_width: Field


def lay_frame(rng: np.random.Generator, grid: Grid) -> Frame:
    """Choose the course of the main road, through the middle part of the scene."""
    shift = 0.16 * grid.resolution_m * np.array([grid.width, grid.height])
    x, y = rng.uniform(-shift, shift)
    wavelength = rng.uniform(0.9, 2.5) * max(grid.extent_m, 120.0)
    bend = rng.uniform(0.0, 0.055) * wavelength
    return Frame(float(x), float(y), rng.uniform(0, np.pi), bend, wavelength, rng.uniform(0, 2 * np.pi))


def frame_coordinates(frame: Frame, grid: Grid) -> tuple[Field, Field]:
    """Give s and v of every pixel, each of shape (H, W), metres."""
    x, y = grid.x - np.float32(frame.x), grid.y - np.float32(frame.y)
    cos, sin = np.float32(np.cos(frame.angle)), np.float32(np.sin(frame.angle))
    s = x * cos + y * sin
    return s, y * cos - x * sin - _bend(frame, s).astype(np.float32)


def to_xy(frame: Frame, s: Line, v: Line) -> Line:
    """Turn positions in the frame into x, y; shape (P, 2), metres."""
    across = v + _bend(frame, s)
    cos, sin = np.cos(frame.angle), np.sin(frame.angle)
    return np.stack([frame.x + s * cos - across * sin, frame.y + s * sin + across * cos], axis=-1)


def _bend(frame: Frame, s: NDArray[np.floating]) -> NDArray[np.floating]:
    wave = np.sin(s * np.float32(2 * np.pi / frame.wavelength_m) + np.float32(frame.phase))
    return np.float32(frame.bend_m) * (wave - np.float32(np.sin(frame.phase)))


def lay_parcels(rng: np.random.Generator, grid: Grid, frame: Frame) -> Parcels:
    """Divide the land into bands along the main road, and each band across into parcels."""
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
    _, ids = np.unique(raw, return_inverse=True)
    ids = ids.reshape(v.shape).astype(np.int32)
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


def lay_roads(rng: np.random.Generator, grid: Grid, frame: Frame, edges_m: Line) -> tuple[Road, ...]:
    """Plan a connected network: a main road, roads across it, and tracks along the edges of parcels."""
    reach = grid.half_diagonal_m * 1.5
    s = np.arange(-reach, reach, 6.0)
    roads = [Road(to_xy(frame, s, np.zeros_like(s)), rng.uniform(5.5, 7.5), True)]
    crossings = _crossings(rng, grid)
    for number, start in enumerate(crossings):
        is_paved = number % 2 == 1 or bool(rng.random() < 0.35)
        width = rng.uniform(4.2, 5.5) if is_paved else rng.uniform(2.8, 3.8)
        sway = rng.uniform(2.0, 6.0) * np.sin(s / rng.uniform(25.0, 50.0))
        roads.append(Road(to_xy(frame, start + sway - sway[len(s) // 2], s), width, is_paved))
    for edge in _spread_edges(rng, edges_m, grid):
        end = rng.choice([-1, 1]) * reach
        t = np.arange(0.0, 1.0, 6.0 / reach)
        along = crossings[0] + t * (end - crossings[0])
        roads.append(Road(to_xy(frame, along, np.full_like(along, edge)), rng.uniform(2.6, 3.6), False))
    return tuple(roads)


def _crossings(rng: np.random.Generator, grid: Grid) -> Line:
    first = rng.uniform(-0.2, 0.2) * grid.extent_m
    spacing = rng.uniform(170.0, 260.0)
    count = int(grid.half_diagonal_m / spacing)
    return np.array([first, *(first + side * n * spacing for n in range(1, count + 1) for side in (-1, 1))])


def _spread_edges(rng: np.random.Generator, edges_m: Line, grid: Grid) -> Line:
    """Pick band edges that lie in the scene, some 130 m apart, for tracks to follow."""
    inside = edges_m[(np.abs(edges_m) > 20.0) & (np.abs(edges_m) < 0.42 * grid.extent_m)]
    count = min(len(inside), max(1, round(grid.extent_m / 130.0)))
    return rng.choice(inside, count, replace=False) if len(inside) else inside


def near_lines(grid: Grid, roads: tuple[Road, ...], margin_m: float) -> Corridor:
    """Measure, around each line, the distance to it and the position along it; the relatively nearest line wins."""
    shape = (grid.height, grid.width)
    corridor = Corridor(*(np.full(shape, value, dtype=np.float32) for value in (np.inf, 0.0, 1.0)))
    for road in roads:
        lengths = np.hypot(*np.diff(road.line, axis=0).T)
        starts = np.cumsum(lengths) - lengths
        for number, length in enumerate(lengths):
            piece = (*road.line[number], *(road.line[number + 1] - road.line[number]) / length)
            _near_segment(corridor, grid, piece, (starts[number], length), (road.width_m / 2, margin_m))
    return corridor


def _near_segment(
    corridor: Corridor,
    grid: Grid,
    piece: tuple[float, float, float, float],
    span: tuple[float, float],
    reach: tuple[float, float],
) -> None:
    x0, y0, dx, dy = (np.float32(value) for value in piece)
    start, length = span
    middle = (float(x0 + dx * length / 2), float(y0 + dy * length / 2))
    box = grid.box(*middle, length / 2 + sum(reach))
    x, y = grid.x[:, box[1]] - x0, grid.y[box[0]] - y0
    if not x.size or not y.size:
        return
    t = (x * dx + y * dy).clip(0, np.float32(length))
    distance = np.hypot(x - t * dx, y - t * dy)
    half = corridor.half_width[box]
    nearer = (distance / reach[0] < corridor.distance[box] / half) & (distance < sum(reach))
    corridor.distance[box][nearer] = distance[nearer]
    corridor.along[box][nearer] = t[nearer] + np.float32(start)
    half[nearer] = reach[0]


def lay_water(rng: np.random.Generator, grid: Grid, frame: Frame, roads: tuple[Road, ...]) -> Field:
    """Lay a river, lakes or both; give 0 at the deepest line, 1 at the shore and more on land, shape (H, W)."""
    ragged = 0.16 * smooth_noise(rng, grid, 14.0) + 0.07 * smooth_noise(rng, grid, 4.0)
    has_river = bool(rng.random() < 0.55)
    share = rng.uniform(0.015, 0.03) if has_river else rng.uniform(0.05, 0.09)
    nearness = _lakes(rng, grid, roads, share)
    if has_river:
        bed = near_lines(grid, (_river(rng, grid, frame),), 6.0)
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


def _lakes(rng: np.random.Generator, grid: Grid, roads: tuple[Road, ...], share: float) -> Field:
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
    """Pick, among random places in the scene, one far from roads."""
    half = 0.4 * grid.resolution_m * np.array([grid.width, grid.height])
    places = rng.uniform(-half, half, (14, 2))
    lines = np.concatenate([road.line for road in roads])
    clearance = np.hypot(*(places[:, None] - lines[None]).transpose(2, 0, 1)).min(axis=1)
    x, y = places[clearance.argmax()]
    return float(x), float(y)
