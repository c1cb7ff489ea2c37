"""Paint the parcels of a synthetic landscape: crops, meadows, bare soil and the forest floor."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.domain.landscape.canvas import BARE_SOIL, WOODLAND, Canvas
from geoseg.domain.landscape.day import Colour
from geoseg.domain.landscape.layout import Parcels
from geoseg.domain.landscape.noise import Field, Grid, smooth_noise, white_noise


class Cover(NamedTuple):
    """Appearance of a parcel: plant (or soil) and gap colours, share of gaps, and the strength of its patterns."""

    colour: Colour
    gap: Colour
    gap_share: float
    rows: float
    spacing_m: tuple[float, float]
    streaks: float
    patches: float
    tramlines: float


_EARTH: Colour = (134, 110, 86)
_CROPS = (
    Cover((96, 130, 66), _EARTH, 0.10, 0.10, (0.8, 1.2), 0.10, 0.16, 0.55),  # young cereals
    Cover((66, 98, 50), _EARTH, 0.10, 0.14, (0.75, 0.9), 0.06, 0.12, 0.0),  # maize, beet
    Cover((78, 112, 62), (60, 84, 48), 0.30, 0.10, (1.5, 3.0), 0.12, 0.30, 0.35),  # lush cereals
    Cover((186, 164, 112), (150, 124, 84), 0.20, 0.08, (0.8, 1.2), 0.14, 0.22, 0.55),  # ripe cereals
    Cover((172, 152, 108), _EARTH, 0.32, 0.22, (1.6, 3.4), 0.30, 0.20, 0.15),  # stubble
    Cover((104, 130, 70), (146, 140, 88), 0.25, 0.0, (1.0, 2.0), 0.08, 0.36, 0.0),  # meadow
    Cover((116, 142, 78), (94, 120, 62), 0.50, 0.45, (5.0, 9.0), 0.20, 0.20, 0.0),  # mown meadow
    Cover((90, 122, 60), _EARTH, 0.60, 0.35, (0.75, 1.5), 0.12, 0.20, 0.30),  # emerging crop
    Cover((150, 146, 92), (104, 118, 66), 0.40, 0.10, (0.8, 1.4), 0.16, 0.34, 0.45),  # ripening
)
_SOILS = (
    Cover((132, 106, 82), (100, 80, 62), 0.35, 0.40, (1.2, 2.4), 0.25, 0.30, 0.0),  # ploughed
    Cover((96, 78, 64), (72, 60, 50), 0.35, 0.38, (1.0, 2.0), 0.20, 0.30, 0.0),  # ploughed, moist
    Cover((166, 142, 112), (142, 118, 92), 0.35, 0.18, (0.8, 1.4), 0.22, 0.34, 0.30),  # harrowed
    Cover((148, 104, 80), (120, 84, 66), 0.35, 0.28, (1.0, 1.8), 0.22, 0.30, 0.15),  # reddish
    Cover((184, 170, 144), (146, 134, 114), 0.45, 0.0, (1.0, 1.8), 0.0, 0.42, 0.0),  # sand or gravel pit
)


@dataclass(frozen=True)
class LandUse:
    """Masks of woodland and bare soil, each of shape (H, W)."""

    wood: NDArray[np.bool_]
    soil: NDArray[np.bool_]


def assign_land_use(
    rng: np.random.Generator, parcels: Parcels, grid: Grid, *, free: NDArray[np.bool_]
) -> LandUse:
    """Assign parcels to woodland and bare soil until each covers its target share."""
    areas = np.bincount(parcels.ids[free], minlength=parcels.count) / free.size
    wood = _choose(rng, areas, share=rng.uniform(0.15, 0.27))
    soil = _choose(rng, np.where(wood, 0, areas), share=rng.uniform(0.075, 0.12))
    field = ndimage.uniform_filter(
        wood[parcels.ids].astype(np.float32), max(1, round(11.0 / grid.resolution_m))
    )
    ragged = 0.16 * smooth_noise(rng, grid, 13.0) + 0.05 * smooth_noise(rng, grid, 4.0)
    copses = smooth_noise(rng, grid, 38.0) > rng.uniform(2.0, 2.6)
    is_wood = (field + ragged > 0.5) | copses
    return LandUse(is_wood & free, soil[parcels.ids] & free & ~is_wood)


def _choose(rng: np.random.Generator, areas: NDArray[np.float64], *, share: float) -> NDArray[np.bool_]:
    """Choose parcels in random order, without those that exceed the share, until it is nearly reached."""
    chosen = np.zeros(len(areas), dtype=bool)
    for number in rng.permutation(len(areas)):
        if 0 < areas[number] <= 1.35 * share - areas[chosen].sum():
            chosen[number] = True
    missing = share - areas[chosen].sum()
    if missing > 0.45 * share:
        rest = np.where(chosen | (areas == 0), np.inf, np.abs(areas - missing))
        chosen[rest.argmin()] = True
    return chosen


def paint_parcels(rng: np.random.Generator, canvas: Canvas, parcels: Parcels, *, use: LandUse) -> None:
    """Paint every parcel with its own cover, then the forest floor."""
    crops = [_vary(rng, _CROPS[n]) for n in rng.choice(len(_CROPS), parcels.count, p=canvas.day.crop_odds)]
    soils = [_vary(rng, _SOILS[n]) for n in rng.choice(len(_SOILS), parcels.count)]
    cover_index = parcels.ids + np.int32(parcels.count) * use.soil
    across = _across(rng, canvas.grid, parcels, cover_index=cover_index % parcels.count)
    _paint_covers(rng, canvas, (*crops, *soils), cover_index=cover_index, across=across)
    grain = smooth_noise(rng, canvas.grid, 1.2)
    tone = 0.10 * grain + 0.06 * white_noise(rng, canvas.grid)
    canvas.tint(parcels.margin & ~use.soil, (104, 112, 70), opacity=0.55 + 0.2 * grain)
    canvas.mask[use.soil] = BARE_SOIL
    canvas.paint(use.wood, (58, 66, 42), tone=2 * tone, land=WOODLAND)


def _vary(rng: np.random.Generator, cover: Cover) -> Cover:
    gain = rng.normal(1.0, 0.07) * rng.normal(1.0, 0.02, 3)
    colour, gap = (tuple(float(v) for v in np.array(c) * gain) for c in (cover.colour, cover.gap))
    strength = rng.uniform(0.6, 1.4, 4)
    return Cover(
        (colour[0], colour[1], colour[2]),
        (gap[0], gap[1], gap[2]),
        cover.gap_share * rng.uniform(0.6, 1.4),
        cover.rows * strength[0],
        cover.spacing_m,
        cover.streaks * strength[1],
        cover.patches * strength[2],
        cover.tramlines * strength[3],
    )


def _across(
    rng: np.random.Generator, grid: Grid, parcels: Parcels, *, cover_index: NDArray[np.int32]
) -> Field:
    """Return the position across the crop rows of each pixel's parcel in metres, with slight waviness."""
    cos, sin = (f(parcels.directions).astype(np.float32)[cover_index] for f in (np.cos, np.sin))
    return np.asarray(grid.y * cos - grid.x * sin + 0.12 * smooth_noise(rng, grid, 12.0), dtype=np.float32)


def _paint_covers(
    rng: np.random.Generator,
    canvas: Canvas,
    covers: tuple[Cover, ...],
    *,
    cover_index: NDArray[np.int32],
    across: Field,
) -> None:
    """Mix plant and gap colours by rows, streaks, tramlines and patches; vary the brightness."""
    grid = canvas.grid
    patch = (
        0.6 * smooth_noise(rng, grid, 26.0)
        + 0.45 * smooth_noise(rng, grid, 7.0)
        + 0.4 * smooth_noise(rng, grid, 1.8)
    )
    gaps = (
        _table([c.gap_share for c in covers])[cover_index]
        + _table([c.patches for c in covers])[cover_index] * patch
    )
    gaps += _rows(rng, covers, grid, cover_index=cover_index, across=across)
    gaps += _streaks(rng, covers, cover_index=cover_index, across=across)
    gaps += _tramlines(rng, covers, cover_index=cover_index, across=across)
    np.clip(gaps, 0, 1, out=gaps)
    tone = 1 + 0.05 * smooth_noise(rng, grid, 45.0) + 0.05 * white_noise(rng, grid)
    for band in range(3):
        plant = _table([c.colour[band] for c in covers])
        gap = _table([c.gap[band] for c in covers])
        canvas.colour[band] = (plant[cover_index] + (gap - plant)[cover_index] * gaps) * tone


def _table(values: list[float]) -> Field:
    return np.array(values, dtype=np.float32)


def _rows(
    rng: np.random.Generator,
    covers: tuple[Cover, ...],
    grid: Grid,
    *,
    cover_index: NDArray[np.int32],
    across: Field,
) -> Field:
    """Return the pattern of the crop rows; rows finer than the resolution fade out."""
    spacing = np.array([rng.uniform(*c.spacing_m) for c in covers])
    visible = ((spacing / grid.resolution_m - 2.0) / 2.0).clip(0, 1)
    strength = _table(list(np.array([c.rows for c in covers]) * visible))
    wave = np.sin(across * _table(list(2 * np.pi / spacing))[cover_index])
    return np.asarray(wave * strength[cover_index], dtype=np.float32)


def _streaks(
    rng: np.random.Generator, covers: tuple[Cover, ...], *, cover_index: NDArray[np.int32], across: Field
) -> Field:
    """Return the irregular stripes that machines leave."""
    profile = ndimage.gaussian_filter1d(rng.standard_normal(8192), 1.2) + 0.5 * np.repeat(
        rng.standard_normal(512), 16
    )
    offset = rng.integers(0, 8192, len(covers)).astype(np.int32)
    position = (across * np.float32(4.0)).astype(np.int32) + offset[cover_index]
    strength = _table([c.streaks for c in covers])[cover_index]
    return np.asarray(profile[position & 8191] * strength, dtype=np.float32)


def _tramlines(
    rng: np.random.Generator, covers: tuple[Cover, ...], *, cover_index: NDArray[np.int32], across: Field
) -> Field:
    """Return the tramlines: pairs of wheel tracks 1.8 m apart, every 12 to 24 m in some crops."""
    gap = _table(list(rng.choice([12.0, 15.0, 18.0, 24.0], len(covers))))[cover_index]
    from_pair = np.abs(np.mod(across, gap) - gap / 2)
    wheel = (0.34 - np.abs(from_pair - np.float32(0.9))).clip(0, 0.2) * 5
    return np.asarray(wheel * _table([c.tramlines for c in covers])[cover_index], dtype=np.float32)
