"""Find a probable nodata value in a raster that does not declare it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.pixels.value_ranges import PixelSample

_MIN_SHARE = 0.02
_MIN_SHARE_DECLARED = 0.05
_MIN_DETACHED_SHARE = 0.001
_MIN_PIXELS = 16
_MIN_SOLIDITY = 0.9
_OPAQUE = (255.0, 65535.0)


@dataclass(frozen=True)
class Fill:
    """A value that fills part of a raster.

    Attributes:
        value: The value, in all bands.
        share: Its share of the valid pixels, 0..1.
    """

    value: float
    share: float


def find_fill(sample: PixelSample) -> Fill | None:
    """Return the minimum or maximum value that fills a frame or a large area in all bands, or None.

    A value far from all others must fill a thousandth of the pixels. A value close to them, such as black or white,
    must fill solid areas of 2 % of the pixels. The minimum is 5 % if the raster declares another nodata value. A
    raster with a single value has none.
    """
    total = sum(int(valid.sum()) for _, valid in sample)
    if not total:
        return None
    ends = _ends(sample)
    found = [_fill(sample, end, total) for end in dict.fromkeys(ends)]
    fills = [fill for fill in found if fill is not None]
    return max(fills, key=lambda fill: fill.share, default=None)


def find_alpha(sample: PixelSample) -> float | None:
    """Return the share of transparent pixels, 0..1, if the last of 2 or 4 bands looks like alpha, else None."""
    bands = len(sample[0][0]) if sample else 0
    if bands not in (2, 4):
        return None
    values = np.concatenate([pixels[-1, valid] for pixels, valid in sample])
    found = np.unique(values)
    if len(found) != 2 or found[0] != 0 or found[1] not in _OPAQUE:
        return None
    return float((values == 0).mean())


def _ends(sample: PixelSample) -> tuple[float, float]:
    parts = [pixels[:, valid] for pixels, valid in sample if valid.any()]
    return float(min(np.nanmin(p) for p in parts)), float(max(np.nanmax(p) for p in parts))


def _fill(sample: PixelSample, value: float, total: int) -> Fill | None:
    filled = [valid & (pixels == value).all(axis=0) for pixels, valid in sample]
    count = sum(int(own.sum()) for own in filled)
    rest = np.concatenate(
        [pixels[:, valid & ~own].ravel() for (pixels, valid), own in zip(sample, filled, strict=True)]
    )
    rest = rest[np.isfinite(rest)]
    if count < _MIN_PIXELS or not rest.size:
        return None
    has_nodata = any(not valid.all() for _, valid in sample)
    least = _MIN_SHARE_DECLARED if has_nodata else _MIN_SHARE
    share = count / total
    is_area = share >= least and _solidity(filled) >= _MIN_SOLIDITY
    is_far = share >= _MIN_DETACHED_SHARE and _is_detached(value, rest)
    return Fill(value, share) if is_area or is_far else None


def _is_detached(value: float, rest: NDArray[np.float32]) -> bool:
    """Return whether the gap between a value and all others exceeds the 1st to 99th percentile range of the others."""
    low, high = np.percentile(rest, (1, 99)).tolist()
    gap = max(float(rest.min()) - value, value - float(rest.max()))
    return bool(gap > high - low > 0)


def _solidity(filled: list[NDArray[np.bool_]]) -> float:
    """Return the share of right and lower neighbours of filled pixels that are filled too."""
    pairs = [(own[:, :-1], own[:, 1:]) for own in filled] + [(own[:-1], own[1:]) for own in filled]
    asked = sum(int(one.sum()) for one, _ in pairs)
    return sum(int((one & other).sum()) for one, other in pairs) / max(asked, 1)
