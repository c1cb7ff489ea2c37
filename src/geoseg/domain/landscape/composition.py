"""Generate synthetic aerial images with dense reference masks, for demos and tests without data."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape.buildings import paint_building, paint_lots, place_buildings
from geoseg.domain.landscape.canvas import ROAD, WATER, Canvas, blank_canvas
from geoseg.domain.landscape.courses import Road, distance_to_lines, plan_roads, plan_water
from geoseg.domain.landscape.day import Day, choose_day
from geoseg.domain.landscape.ground import assign_land_use, paint_parcels
from geoseg.domain.landscape.layout import divide_parcels, plan_frame
from geoseg.domain.landscape.light import render
from geoseg.domain.landscape.lines import paint_paved, paint_tracks, paint_verges, paint_water
from geoseg.domain.landscape.noise import Grid
from geoseg.domain.landscape.trees import paint_trees, plant_trees

LANDSCAPE_CLASSES: tuple[tuple[str, str], ...] = (
    ("field", "#eadb8c"),
    ("woodland", "#0b5d2e"),
    ("building", "#dd3c80"),
    ("road", "#3a3a44"),
    ("water", "#4499dd"),
    ("bare soil", "#bb7f50"),
)
MIN_SCENE_PX = 64


@dataclass(frozen=True)
class Landscape:
    """A synthetic aerial image with its reference mask.

    Attributes:
        image: red, green, blue (3, H, W).
        mask: class ids (H, W), every pixel labelled; ids are positions in `LANDSCAPE_CLASSES`.
    """

    image: NDArray[np.uint8]
    mask: NDArray[np.uint8]


def generate_landscape(  # noqa: PLR0917 - shape and resolution read well in this order
    seed: int, height: int, width: int, resolution_m: float = 0.25, *, day: Day | None = None
) -> Landscape:
    """Generate an aerial image of a rural scene; equal arguments give equal scenes.

    Shapes and textures have sizes in metres. Classes overlap in colour, as in aerial photographs, but differ in
    texture, shape and context. A shadow has the class of the surface below. Gardens, verges and meadows are field.
    Crowns of hedges and single trees are woodland. Yards and beaches are bare soil.

    Args:
        seed: seed of the scene.
        height: rows, at least 64.
        width: columns, at least 64.
        resolution_m: ground sampling distance in metres; 0.25 to 0.5 looks best.
        day: season, light and camera; None chooses them from the seed.

    Returns:
        The image and its mask. Scenes of 130 m and more have all six classes.

    Raises:
        ValueError: the scene is smaller than 64 px, or the resolution is not a positive number.
    """
    if min(height, width) < MIN_SCENE_PX:
        raise ValueError(
            f"a landscape must have at least {MIN_SCENE_PX} x {MIN_SCENE_PX} px, got {height} x {width}"
        )
    if not 0 < resolution_m < np.inf:
        raise ValueError(f"resolution_m must be a positive number, got {resolution_m}")
    rng = np.random.default_rng(seed)
    canvas = blank_canvas(Grid(height, width, resolution_m), day or choose_day(rng))
    _paint(rng, canvas)
    return Landscape(render(rng, canvas), canvas.mask)


def _paint(rng: np.random.Generator, canvas: Canvas) -> None:
    grid = canvas.grid
    frame = plan_frame(rng, grid)
    parcels = divide_parcels(rng, grid, frame)
    roads = plan_roads(rng, grid, frame, edges_m=parcels.edges_m)
    nearness = plan_water(rng, grid, frame, roads=roads)
    use = assign_land_use(rng, parcels, grid, free=nearness > 1)
    paint_parcels(rng, canvas, parcels, use=use)
    paint_water(rng, canvas, nearness)
    _paint_roads(rng, canvas, roads)
    buildings = place_buildings(rng, grid, roads, blocked=(canvas.mask == ROAD) | (canvas.mask == WATER))
    lots = paint_lots(rng, canvas, buildings)
    for building in buildings:
        paint_building(rng, canvas, building)
    paint_trees(rng, canvas, plant_trees(rng, canvas, parcels, lots=lots))


def _paint_roads(rng: np.random.Generator, canvas: Canvas, roads: tuple[Road, ...]) -> None:
    """Paint verges first and paved roads last, so that paved roads cross tracks and water without gaps."""
    tracks = distance_to_lines(canvas.grid, tuple(road for road in roads if not road.is_paved), 2.0)
    paved = distance_to_lines(canvas.grid, tuple(road for road in roads if road.is_paved), 2.0)
    paint_verges(rng, canvas, tracks)
    paint_verges(rng, canvas, paved)
    paint_tracks(rng, canvas, tracks)
    paint_paved(rng, canvas, paved)
