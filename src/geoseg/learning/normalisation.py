"""Normalisation of pixel values by statistics of the training rasters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class Normalisation:
    """Mean and standard deviation of each band, in the raster's own values (uint8, uint16 or float)."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, pixels: Tensor, valid: Tensor) -> Tensor:
        """Return normalised pixels (N, B, H, W), float32; 0, the mean, where (N, H, W) is not valid."""
        mean = pixels.new_tensor(self.mean)[:, None, None]
        deviation = pixels.new_tensor(self.deviation)[:, None, None]
        return torch.where(valid[:, None], (pixels - mean) / deviation, 0.0)


def measure_normalisation(samples: Iterable[tuple[NDArray[np.float32], NDArray[np.bool_]]]) -> Normalisation:
    """Measure the mean and deviation of each band over the valid pixels of the samples.

    Args:
        samples: Pairs of pixels (B, h, w) and validity (h, w).

    Raises:
        ValueError: Not one pixel is valid.
    """
    count = 0
    # Sums of float64 around the first sample's mean, so that large offsets do not cancel digits.
    origin = total = square = np.zeros(0)
    for pixels, valid in samples:
        values = pixels[:, valid].astype(np.float64)
        if not values.shape[1]:
            continue
        if not count:
            origin = values.mean(axis=1)
            total, square = np.zeros_like(origin), np.zeros_like(origin)
        shifted = values - origin[:, None]
        count += values.shape[1]
        total += shifted.sum(axis=1)
        square += (shifted**2).sum(axis=1)
    if not count:
        raise ValueError("no valid pixel to measure the normalisation from")
    shift = total / count
    deviation = np.sqrt(np.maximum(square / count - shift**2, 0))
    scale = np.where(deviation < _LEAST_DEVIATION, 1.0, deviation)
    return Normalisation(tuple((origin + shift).tolist()), tuple(scale.tolist()))
