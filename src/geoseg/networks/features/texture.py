"""Colour and texture features, for the forest and for bands that a backbone does not use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

BLURS = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the Gaussians in pixels."""


def texture(images: Tensor) -> Tensor:
    """Return colour and texture (N, F, H, W) of images (N, B, H, W), in float32.

    Features are the bands, Gaussian blurs of 1, 2, 4 and 8 px, and local standard deviations at these scales.
    """
    with torch.autocast(images.device.type, enabled=False):
        images = images.float()
        found = [images]
        for blur in BLURS:
            mean, square = _blurred(images, blur), _blurred(images.square(), blur)
            found += [mean, (square - mean.square()).clamp(min=0).sqrt()]
        return torch.cat(found, dim=1)


def feature_count(bands: int) -> int:
    """Return F, the number of texture features of ``bands`` bands."""
    return bands * (1 + 2 * len(BLURS))


def _blurred(images: Tensor, deviation: float) -> Tensor:
    reach = round(3 * deviation)
    # A number in exported graphs too: OpenVINO needs kernels of a fixed shape.
    channels = int(images.shape[1])
    steps = torch.arange(-reach, reach + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (steps / deviation) ** 2)
    kernel = (kernel / kernel.sum()).expand(channels, 1, 1, -1)
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, kernel, groups=channels)
    return functional.conv2d(across, kernel.transpose(2, 3), groups=channels)
