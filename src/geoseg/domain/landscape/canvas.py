"""The canvas of a synthetic landscape: class, colour, height and light of every pixel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape.day import Colour, Day
from geoseg.domain.landscape.noise import Field, Grid

FIELD, WOODLAND, BUILDING, ROAD, WATER, BARE_SOIL = range(6)


@dataclass(frozen=True)
class Canvas:
    """Arrays that the paint functions fill in place.

    Attributes:
        grid: pixel grid of the scene.
        day: season, light and camera.
        mask: class ids (H, W).
        colour: surface colour under full light (3, H, W), 0..255.
        surface_m: height of the surface above ground (H, W), in metres.
        light: direct light on the surface, without cast shadows (H, W), 1 on level ground.
    """

    grid: Grid
    day: Day
    mask: NDArray[np.uint8]
    colour: Field
    surface_m: Field
    light: Field

    def paint(
        self, where: NDArray[np.bool_], colour: Colour, *, tone: NDArray[np.floating], land: int | None = None
    ) -> None:
        """Paint pixels with one colour, scaled by 1 + `tone` (H, W), and set their class if given."""
        index = np.flatnonzero(where)
        factor = 1 + tone.ravel()[index]
        flat = self.colour.reshape(3, -1)
        for band, value in enumerate(colour):
            flat[band, index] = np.float32(value) * factor
        if land is not None:
            self.mask.ravel()[index] = land

    def tint(self, where: NDArray[np.bool_], colour: Colour, *, opacity: NDArray[np.floating]) -> None:
        """Blend a colour into pixels with the given opacity (H, W), 0..1."""
        index = np.flatnonzero(where)
        share = opacity.ravel()[index].clip(0, 1)
        flat = self.colour.reshape(3, -1)
        for band, value in enumerate(colour):
            flat[band, index] += share * (np.float32(value) - flat[band, index])


def blank_canvas(grid: Grid, day: Day) -> Canvas:
    """Create a canvas of level, black, fully lit fields."""
    shape = (grid.height, grid.width)
    return Canvas(
        grid,
        day,
        mask=np.full(shape, FIELD, dtype=np.uint8),
        colour=np.zeros((3, *shape), dtype=np.float32),
        surface_m=np.zeros(shape, dtype=np.float32),
        light=np.ones(shape, dtype=np.float32),
    )
