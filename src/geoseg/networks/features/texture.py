"""Colour and texture features as torch tensors, for bands that a backbone does not use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.inference.graphs.texture import BLURS, gaussian


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


def _blurred(images: Tensor, deviation: float) -> Tensor:
    # A number in exported graphs too: runtimes need kernels of a fixed shape.
    channels = int(images.shape[1])
    weights = torch.from_numpy(gaussian(deviation)).to(images.device)
    reach = len(weights) // 2
    kernel = weights.expand(channels, 1, 1, -1)
    padded = functional.pad(images, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, kernel, groups=channels)
    return functional.conv2d(across, kernel.transpose(2, 3), groups=channels)
