"""Colour augmentation of normalised patches."""

from __future__ import annotations

import torch
from torch import Tensor


def jitter_colors(patches: Tensor, valid: Tensor, *, strength: float, generator: torch.Generator) -> Tensor:
    """Change contrast and brightness of each patch, mostly in all bands together and slightly per band.

    Args:
        patches: Normalised pixels (N, B, H, W), deviations from the mean.
        valid: (N, H, W); pixels that are not valid stay 0.
        strength: Strength in standard deviations, >= 0; 0 changes nothing.
        generator: Source of randomness, on the CPU.
    """
    if strength == 0:
        return patches
    count, bands = patches.shape[:2]

    def draw(channels: int) -> Tensor:
        return (2 * torch.rand((count, channels, 1, 1), generator=generator) - 1).to(patches.device)

    contrast = 1 + strength * (0.75 * draw(1) + 0.25 * draw(bands))
    brightness = strength * (draw(1) + 0.5 * draw(bands))
    return torch.where(valid[:, None], patches * contrast + brightness, patches)
