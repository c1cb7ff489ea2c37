"""The canvas of an invented landscape: what every pixel is, its colour, its height and its light."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape_noise import Field, Grid

FIELD, WOODLAND, BUILDING, ROAD, WATER, BARE_SOIL = range(6)
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Sun:
    """Where the sun stands: unit vector towards it (east, south, up)."""

    east: float
    south: float
    up: float

    def light(self, east: Field, south: Field, up: Field) -> Field:
        """Give the direct light on surfaces of the given unit normals, 1 for level ground, 0 when turned away."""
        facing = east * np.float32(self.east) + south * np.float32(self.south) + up * np.float32(self.up)
        return np.asarray(np.maximum(facing, 0) / np.float32(self.up), dtype=np.float32)


@dataclass(frozen=True)
class Canvas:
    """Arrays that the painters fill in place.

    Attributes:
        grid: pixel grid of the scene.
        sun: direction of the light.
        mask: class ids (H, W).
        colour: surface colour under full light (3, H, W), 0..255.
        surface_m: height of what stands on the ground (H, W), metres.
        light: direct light on the surface, without cast shadows (H, W), 1 on level ground.
    """

    grid: Grid
    sun: Sun
    mask: NDArray[np.uint8]
    colour: Field
    surface_m: Field
    light: Field

    def paint(
        self, where: NDArray[np.bool_], colour: Colour, *, tone: NDArray[np.floating], land: int | None = None
    ) -> None:
        """Paint pixels with one colour, brightened by `tone` (H, W, relative), and set their class if one is given."""
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


def blank_canvas(grid: Grid, sun: Sun) -> Canvas:
    """Start with level, black, fully lit fields."""
    shape = (grid.height, grid.width)
    return Canvas(
        grid,
        sun,
        mask=np.full(shape, FIELD, dtype=np.uint8),
        colour=np.zeros((3, *shape), dtype=np.float32),
        surface_m=np.zeros(shape, dtype=np.float32),
        light=np.ones(shape, dtype=np.float32),
    )


def choose_sun(rng: np.random.Generator) -> Sun:
    """Choose a sun between south-east and south-west, 33 to 55 degrees high."""
    azimuth, elevation = np.radians(rng.uniform(115, 245)), np.radians(rng.uniform(33, 55))
    level = np.cos(elevation)
    return Sun(float(level * np.sin(azimuth)), float(-level * np.cos(azimuth)), float(np.sin(elevation)))
