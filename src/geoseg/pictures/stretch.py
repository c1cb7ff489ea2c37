"""Convert pixel values to display colours."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_WHITE = 255
_SHARES = (2.0, 98.0)
_SAMPLE = 1_000_000  # more values do not move a percentile visibly


def display_rgb(pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Stretch a raster between its 2nd and 98th percentile for display.

    Whole numbers 0..255 are taken for a photograph: one stretch for all bands, so that its colours stay
    natural. Any other values are stretched band by band.

    Args:
        pixels: Shape (B, H, W); the first three bands are red, green, blue. With fewer than three the
            first is shown in grey.
        valid: Where the pixels mean something, shape (H, W). Values that are not finite never do.

    Returns:
        uint8, shape (H, W, 3); white where not valid.
    """
    bands = pixels[:3] if len(pixels) >= 3 else pixels[:1]
    shown = valid & np.isfinite(bands).all(axis=0)
    values = bands[:, shown]
    if values.size == 0:
        return np.full((*valid.shape, 3), _WHITE, np.uint8)
    groups = [values] if _is_photograph(values) else list(values)
    limits = [_limits(group) for group in groups] * (len(bands) if len(groups) == 1 else 1)
    rgb = np.full((len(bands), *valid.shape), _WHITE, np.uint8)
    for band, out, (low, high) in zip(values, rgb, limits, strict=True):
        out[shown] = _stretched(band, low, high)
    return np.moveaxis(np.broadcast_to(rgb, (3, *valid.shape)), 0, -1).copy()


def _is_photograph(values: NDArray[np.float32]) -> bool:
    sample = values[:, :: max(1, values.shape[1] // _SAMPLE)]
    whole = bool((sample == np.round(sample)).all())
    return whole and values.min() >= 0 and 1 < values.max() <= 255


def _limits(values: NDArray[np.float32]) -> tuple[float, float]:
    flat = values.ravel()
    low, high = np.percentile(flat[:: max(1, flat.size // _SAMPLE)], _SHARES)
    if high > low:
        return float(low), float(high)
    return float(flat.min()), float(flat.max())


def _stretched(band: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    if high <= low:
        return np.full(band.shape, 128, np.uint8)
    share: NDArray[np.float32] = np.clip((band - np.float32(low)) / np.float32(high - low), 0, 1)
    return (share * np.float32(255) + np.float32(0.5)).astype(np.uint8)
