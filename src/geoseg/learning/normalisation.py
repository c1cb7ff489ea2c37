"""Normalisation of pixel values by statistics of the training rasters, with additional spectral indices."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MIN_DEVIATION = 1e-6
Floats = NDArray[np.float32]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Normalisation:
    """Normalisation of bands and spectral indices to mean 0 and standard deviation 1.

    Attributes:
        mean: Means of the B bands, in the values of the raster (uint8, uint16 or float), and of the I indices.
        deviation: Standard deviations of the same.
        indices: Pairs (a, b) of 0-based band positions; each adds a normalised difference (a - b) / (a + b). It is
            NDVI if a is near infrared and b is red (Rouse et al., 1974).
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    indices: tuple[Pair, ...] = ()

    @property
    def channels(self) -> int:
        """B + I."""
        return len(self.mean)

    @property
    def is_identity(self) -> bool:
        """Whether the channels are the bands as they are."""
        return not (any(self.mean) or self.indices) and all(one == 1 for one in self.deviation)

    def apply(self, pixels: Floats, valid: NDArray[np.bool_]) -> Floats:
        """Return (N, B + I, H, W), float32, of raw pixels (N, B, H, W).

        Invalid pixels (N, H, W) and bands that are NaN become 0, the mean.
        """
        channels = pixels
        if not self.is_identity:
            mean = np.array(self.mean, np.float32)[:, None, None]
            deviation = np.array(self.deviation, np.float32)[:, None, None]
            channels = (with_indices(pixels, self.indices) - mean) / deviation
        return np.nan_to_num(np.where(valid[:, None], channels, np.float32(0)), copy=False, nan=0.0)


def no_normalisation(bands: int) -> Normalisation:
    """Return the normalisation that leaves the values of bands as they are."""
    return Normalisation((0.0,) * bands, (1.0,) * bands)


def with_indices(pixels: Floats, indices: Sequence[Pair]) -> Floats:
    """Append the normalised differences of pairs of bands to pixels (N, B, H, W), giving (N, B + I, H, W).

    An index is 0 where the sum of the two bands is 0. Values outside -1..1, which negative bands cause, are clipped.
    """
    if not indices:
        return pixels
    one, other = (pixels[:, list(positions)] for positions in zip(*indices, strict=True))
    total = one + other
    difference = np.divide(one - other, total, out=np.zeros_like(total), where=total != 0)
    return np.concatenate([pixels, difference.clip(-1, 1)], axis=1)


def measure_normalisation(
    samples: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]], indices: Sequence[Pair] = ()
) -> Normalisation:
    """Measure mean and standard deviation of each band and index over the valid pixels of samples.

    Args:
        samples: Pairs of pixels (B, h, w) and validity (h, w). NaN is ignored, band by band.
        indices: As in :class:`Normalisation`.

    Raises:
        ValueError: No pixel is valid.
    """
    count = origin = total = square = np.zeros(0)
    # Sums in float64, relative to the mean of the first sample, to avoid cancellation with large offsets.
    for pixels, valid in samples:
        channels = with_indices(pixels[None], indices)[0]
        values = channels[:, valid].astype(np.float64)
        if not values.shape[1]:
            continue
        known = ~np.isnan(values)
        if not count.size:
            origin, total, square, count = np.zeros((4, len(values)))
        first = ~count.astype(bool) & known.any(axis=1)
        origin[first] = np.nanmean(values[first], axis=1)
        shifted = np.where(known, values - origin[:, None], 0)
        count += known.sum(axis=1)
        total += shifted.sum(axis=1)
        square += (shifted**2).sum(axis=1)
    if not count.any():
        raise ValueError("no valid pixel to measure the normalisation from")
    shift = total / np.maximum(count, 1)
    deviation = np.sqrt(np.maximum(square / np.maximum(count, 1) - shift**2, 0))
    scale = np.where(deviation < _MIN_DEVIATION, 1.0, deviation)
    return Normalisation(tuple((origin + shift).tolist()), tuple(scale.tolist()), tuple(indices))
