"""Normalisation of pixels as torch tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from geoseg.learning.normalisation import Normalisation, Pair


def normalise(pixels: Tensor, valid: Tensor, normalisation: Normalisation) -> Tensor:
    """Normalise tensors on any device to (N, B + I, H, W), as :meth:`Normalisation.apply` does.

    Args:
        pixels: Raw pixels (N, B, H, W), float32.
        valid: (N, H, W), bool.
        normalisation: The statistics.
    """
    mean = pixels.new_tensor(normalisation.mean)[:, None, None]
    deviation = pixels.new_tensor(normalisation.deviation)[:, None, None]
    channels = _with_indices(pixels, normalisation.indices)
    return torch.where(valid[:, None], (channels - mean) / deviation, 0.0).nan_to_num(nan=0.0)


def _with_indices(pixels: Tensor, indices: Sequence[Pair]) -> Tensor:
    if not indices:
        return pixels
    one, other = (pixels[:, list(positions)] for positions in zip(*indices, strict=True))
    total = one + other
    difference = torch.where(total == 0, 0.0, (one - other) / total)
    return torch.cat([pixels, difference.clamp(-1, 1)], dim=1)
