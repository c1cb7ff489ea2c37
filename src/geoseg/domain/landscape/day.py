"""Acquisition conditions of a synthetic landscape: season, light, atmosphere and camera."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.landscape.noise import Field

Colour = tuple[float, float, float]
CROPS = 9
_CROP_ODDS = (0.15, 0.14, 0.11, 0.13, 0.11, 0.13, 0.07, 0.08, 0.08)
_WATERS: tuple[Colour, ...] = (
    (48, 66, 80),
    (54, 72, 62),
    (82, 84, 66),
    (42, 54, 58),
    (60, 84, 84),
    (62, 80, 56),
)


@dataclass(frozen=True)
class Sun:
    """Direction to the sun as a unit vector (east, south, up)."""

    east: float
    south: float
    up: float

    def light(self, east: Field, south: Field, up: Field) -> Field:
        """Return the direct light on surfaces with these unit normals: 1 on level ground, 0 facing away from the sun."""
        facing = east * np.float32(self.east) + south * np.float32(self.south) + up * np.float32(self.up)
        return np.asarray(np.maximum(facing, 0) / np.float32(self.up), dtype=np.float32)


@dataclass(frozen=True)
class Day:
    """Acquisition conditions shared by the scenes of one flight.

    Attributes:
        sun: Direction of the light.
        ambient: Share of the light that reaches shadows, by band (red, green, blue).
        gain: Sensitivity of the camera by band.
        haze: Fraction of the light added by haze, 0..1.
        gamma: Exponent of the camera's tone curve.
        blur: Standard deviation of the camera's blur in pixels.
        noise: Standard deviation of the camera's noise, in grey values.
        crop_odds: Probability of each crop in this season; sums to 1.
        water: Colour of deep water.
        asphalt: Colour of paved roads.
    """

    sun: Sun
    ambient: Colour
    gain: Colour
    haze: float
    gamma: float
    blur: float
    noise: float
    crop_odds: tuple[float, ...]
    water: Colour
    asphalt: Colour


def choose_day(rng: np.random.Generator) -> Day:
    """Draw conditions from spring to autumn, with the sun between south-east and south-west."""
    grey = rng.uniform(92, 142)
    odds = np.array(_CROP_ODDS) * rng.gamma(1.2, 1.0, CROPS)
    return Day(
        sun=_choose_sun(rng),
        ambient=_colour(rng.uniform(0.27, 0.38) * np.array([0.92, 1.0, 1.16])),
        gain=_colour(rng.uniform(0.92, 1.14) * rng.normal(1.0, 0.015, 3)),
        haze=rng.uniform(0.02, 0.10),
        gamma=rng.uniform(0.90, 1.06),
        blur=rng.uniform(0.45, 0.75),
        noise=rng.uniform(1.5, 3.5),
        crop_odds=tuple((odds / odds.sum()).tolist()),
        water=_WATERS[rng.integers(len(_WATERS))],
        asphalt=(grey * 1.01, grey, grey * rng.uniform(0.95, 1.02)),
    )


def _choose_sun(rng: np.random.Generator) -> Sun:
    """Draw a sun at an elevation of 33 to 55 degrees."""
    azimuth, elevation = np.radians(rng.uniform(115, 245)), np.radians(rng.uniform(33, 55))
    level = np.cos(elevation)
    return Sun(float(level * np.sin(azimuth)), float(-level * np.cos(azimuth)), float(np.sin(elevation)))


def _colour(values: NDArray[np.float64]) -> Colour:
    red, green, blue = values.tolist()
    return red, green, blue
