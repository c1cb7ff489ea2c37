"""Statistics of pixel values, and comparison of the value scales of two rasters."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PixelSample = Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]
"""Windows of a raster: pixels (B, h, w) and validity (h, w)."""

MAX_OUTSIDE = 0.3
_BYTE = 255.0
# Resampling overshoots by a few per cent.
_ABOVE_BYTE = 1.1 * _BYTE
_OTHER_ORDER = 10.0
_OTHER_DEPTH = 4.0
_FEW_PIXELS = 4096
_PERCENTILES = (2, 50, 98)


@dataclass(frozen=True)
class BandValues:
    """Statistics of the values of one band.

    Attributes:
        count: Number of values.
        minimum: Smallest value.
        low: 2nd percentile.
        median: 50th percentile.
        high: 98th percentile.
        maximum: Largest value.
        mean: Arithmetic mean.
        deviation: Standard deviation.
        is_whole: Whether all values are integers.
    """

    count: int
    minimum: float
    low: float
    median: float
    high: float
    maximum: float
    mean: float
    deviation: float
    is_whole: bool

    @property
    def magnitude(self) -> float:
        """The larger absolute value of the 2nd and 98th percentile."""
        return max(abs(self.low), abs(self.high))

    @property
    def range_text(self) -> str:
        """The 2nd and 98th percentile, for a message."""
        return f"{self.low:,.4g} to {self.high:,.4g}"


@dataclass(frozen=True)
class RasterValues:
    """Statistics of the values of one or more rasters by band, and the name of their data type."""

    bands: tuple[BandValues, ...]
    dtype: str

    @property
    def are_bytes(self) -> bool:
        """Whether all values are integers 0..255, in any data type."""
        measured = [band for band in self.bands if band.count]
        return self.dtype == "uint8" or (
            bool(measured) and all(b.is_whole and b.minimum >= 0 and b.maximum <= _BYTE for b in measured)
        )


def values_by_band(sample: PixelSample) -> list[NDArray[np.float64]]:
    """Return the finite values of each band at valid pixels."""
    if not sample:
        return []
    values = np.concatenate([pixels[:, valid] for pixels, valid in sample], axis=1).astype(np.float64)
    return [band[np.isfinite(band)] for band in values]


def measure_values(sample: PixelSample, dtype: str) -> RasterValues:
    """Measure the values of each band at the valid pixels of a sample; a band without a value has count 0."""
    return RasterValues(tuple(map(_band_values, values_by_band(sample))), dtype)


def _band_values(values: NDArray[np.float64]) -> BandValues:
    if not values.size:
        return BandValues(0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, True)
    low, median, high = np.percentile(values, _PERCENTILES).tolist()
    return BandValues(
        count=int(values.size),
        minimum=float(values.min()),
        low=low,
        median=median,
        high=high,
        maximum=float(values.max()),
        mean=float(values.mean()),
        deviation=float(values.std()),
        is_whole=bool((values == np.round(values)).all()),
    )


def assume_values(mean: Sequence[float], deviation: Sequence[float], dtype: str) -> RasterValues:
    """Derive statistics from mean and standard deviation by band; the range is two deviations around the mean."""
    kind = np.dtype(dtype)
    least, most = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else (-math.inf, math.inf)
    bands = [
        (m, d, max(m - 2 * d, least), min(m + 2 * d, most)) for m, d in zip(mean, deviation, strict=True)
    ]
    return RasterValues(
        tuple(BandValues(1, low, low, m, high, high, m, d, is_whole=False) for m, d, low, high in bands),
        dtype,
    )


def is_other_scale(own: RasterValues, trained: RasterValues) -> bool:
    """Return whether values have another scale than in training: another bit depth, or 0..1 instead of 0..255.

    Darker or brighter scenes on the same scale pass: night, snow, water, clouds. Values that fit 8 bits pass for a
    model trained on 8 bits, in any data type. A raster of few or equal integers passes too.
    """
    pairs = [(o, t) for o, t in zip(own.bands, trained.bands, strict=True) if o.count and t.magnitude > 0]
    if not pairs:
        return False
    if trained.are_bytes:
        return _is_beyond_bytes(pairs, trained) or _is_fraction_of_bytes(pairs)
    if own.dtype == "uint8" and any(t.high > _ABOVE_BYTE for _, t in pairs):
        return True
    if _most(o.magnitude > _OTHER_ORDER * t.magnitude for o, t in pairs):
        return True
    is_dark = all(o.is_whole and (o.count < _FEW_PIXELS or o.minimum == o.maximum) for o, _ in pairs)
    least = _OTHER_DEPTH if _is_stretched(own, pairs) else _OTHER_ORDER
    return not is_dark and _most(o.magnitude * least < t.magnitude for o, t in pairs)


def _is_beyond_bytes(pairs: Sequence[tuple[BandValues, BandValues]], trained: RasterValues) -> bool:
    """Return whether values exceed 8-bit training data; if a wider type held the data, a multiple is required."""
    least = 0.0 if trained.dtype == "uint8" else _OTHER_DEPTH
    return any(o.median < 0 or o.high > max(_ABOVE_BYTE, least * t.high) for o, t in pairs)


def _is_fraction_of_bytes(pairs: Sequence[tuple[BandValues, BandValues]]) -> bool:
    return _most(not o.is_whole and o.magnitude * _OTHER_ORDER < t.magnitude for o, t in pairs)


def _is_stretched(own: RasterValues, pairs: Sequence[tuple[BandValues, BandValues]]) -> bool:
    """Return whether values look stretched to 8 bits while the training values were not."""
    is_full = any(o.maximum > _BYTE / 2 for o, _ in pairs)
    return own.are_bytes and is_full and any(t.high > _ABOVE_BYTE for _, t in pairs)


def _most(found: Iterable[bool]) -> bool:
    said = list(found)
    return 2 * sum(said) > len(said)


def share_outside(values: NDArray[np.float64], trained: BandValues) -> float:
    """Return the share of values outside the 2nd to 98th percentile of training, 0..1; 0 without values."""
    if not values.size or not trained.count:
        return 0.0
    # The percentiles of a constant band are subject to rounding.
    slack = 1e-6 * max(1.0, trained.magnitude)
    is_outside = (values < trained.low - slack) | (values > trained.high + slack)
    return float(is_outside.mean())
