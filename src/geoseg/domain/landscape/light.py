"""Render a synthetic landscape from above: cast shadows, haze, brightness drift, blur and noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.domain.landscape.canvas import Canvas
from geoseg.domain.landscape.day import Sun
from geoseg.domain.landscape.noise import Field, smooth_noise, white_noise


def render(rng: np.random.Generator, canvas: Canvas) -> NDArray[np.uint8]:
    """Render the image (3, H, W) of the lit canvas."""
    day = canvas.day
    shadow = cast_shadows(canvas.surface_m, day.sun, canvas.grid.resolution_m)
    soft = ndimage.uniform_filter(shadow.astype(np.float32), 3)
    direct = canvas.light * (1 - soft)
    drift = 0.06 * smooth_noise(rng, canvas.grid, 0.6 * canvas.grid.extent_m)
    image = np.empty(canvas.colour.shape, dtype=np.uint8)
    for band in range(3):
        seen = canvas.colour[band] * (day.ambient[band] + (1 - day.ambient[band]) * direct)
        seen *= np.float32(day.gain[band]) * (
            1 + drift + 0.02 * smooth_noise(rng, canvas.grid, 0.4 * canvas.grid.extent_m)
        )
        seen = np.float32(1 - day.haze) * seen + np.float32(day.haze * (172, 182, 196)[band])
        seen = np.float32(255) * (seen.clip(0, 255) / np.float32(255)) ** np.float32(day.gamma)
        seen = ndimage.gaussian_filter(seen, day.blur, truncate=2.5) + np.float32(day.noise) * white_noise(
            rng, canvas.grid
        )
        image[band] = np.rint(seen).clip(0, 255).astype(np.uint8)
    return image


def cast_shadows(surface_m: Field, sun: Sun, resolution_m: float) -> NDArray[np.bool_]:
    """Find the pixels in cast shadow.

    The height of the shadow boundary is found by doubling: after step j it includes the nearest 2**j pixels.

    Args:
        surface_m: height of the surface (H, W), metres.
        sun: direction of the light.
        resolution_m: size of a pixel, metres.

    Returns:
        True in shadow, shape (H, W).
    """
    level = float(np.hypot(sun.east, sun.south))
    step = np.array([sun.south, sun.east]) / level
    drop = resolution_m * sun.up / level
    reach = max(1, int(np.ceil(float(surface_m.max()) / drop)))
    horizon = _shifted(surface_m, step) - np.float32(drop)
    length = 1
    while length < reach:
        np.maximum(horizon, _shifted(horizon, step * length) - np.float32(drop * length), out=horizon)
        length *= 2
    return horizon > surface_m + np.float32(0.3)


def _shifted(surface: Field, offset: NDArray[np.float64]) -> Field:
    """Return the values shifted by `offset` (rows, cols), 0 outside."""
    shifted = np.zeros_like(surface)
    (row_to, row_from), (col_to, col_from) = (
        _overlap(round(float(by)), size) for by, size in zip(offset, surface.shape, strict=True)
    )
    shifted[row_to, col_to] = surface[row_from, col_from]
    return shifted


def _overlap(by: int, size: int) -> tuple[slice, slice]:
    by = max(-size, min(size, by))
    return slice(max(0, -by), size - max(0, by)), slice(max(0, by), size + min(0, by))
