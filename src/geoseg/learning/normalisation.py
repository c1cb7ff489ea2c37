"""Normalisation of pixel values by statistics of the training rasters, and the spectral indices that join them."""

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
    """What a network is given of a raster's pixels: the bands, then indices, each of mean 0 and deviation 1.

    Attributes:
        mean: Of each of the B bands, in the raster's own values (uint8, uint16 or float), and of each of the I indices.
        deviation: Their standard deviations.
        indices: The normalised differences that join the bands, (a - b) / (a + b) of the bands at positions a and b
            from 0 on; NDVI where a is near infrared and b red (Rouse et al., 1974).
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    indices: tuple[Pair, ...] = ()

    @property
    def channels(self) -> int:
        """B + I."""
        return len(self.mean)

    def apply(self, pixels: Floats, valid: NDArray[np.bool_]) -> Floats:
        """Return (N, B + I, H, W), float32, of raw pixels (N, B, H, W).

        It is 0, the mean, where (N, H, W) is not valid and where a band is NaN, and so has no value.
        """
        mean = np.array(self.mean, np.float32)[:, None, None]
        deviation = np.array(self.deviation, np.float32)[:, None, None]
        channels = (with_indices(pixels, self.indices) - mean) / deviation
        return np.nan_to_num(np.where(valid[:, None], channels, np.float32(0)), copy=False, nan=0.0)


def with_indices(pixels: Floats, indices: Sequence[Pair]) -> Floats:
    """Return pixels (N, B, H, W) and the normalised differences of these bands, (N, B + I, H, W).

    They lie within -1..1, and are 0 where the sum of the two bands is. Values beyond, which negative bands cause, are
    clipped.
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
    """Measure the mean and deviation of each band, and of each index, over the valid pixels of the samples.

    Args:
        samples: Pairs of pixels (B, h, w) and validity (h, w). NaN in a band does not count in that band.
        indices: As in :class:`Normalisation`.

    Raises:
        ValueError: Not one pixel is valid.
    """
    count = origin = total = square = np.zeros(0)
    # Sums of float64 around the first sample's mean, so that large offsets do not cancel digits.
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
