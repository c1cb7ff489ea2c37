"""Colour and texture features as torch tensors, for bands that a backbone does not use."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.inference.graphs.texture import COARSE_BLUR, COARSE_LEVELS, FINE_BLURS, gaussian


def texture(images: Tensor) -> list[Tensor]:
    """Return colour and texture (N, F_i, h_i, w_i) of images (N, B, H, W), in float32.

    The features are those of :func:`geoseg.inference.graphs.texture.add_texture`.
    """
    with torch.autocast(images.device.type, enabled=False):
        images = images.float()
        both = torch.cat([images, images.square()], dim=1)
        blurred = [_blurred(both, blur) for blur in FINE_BLURS]
        layers, last = [torch.cat([images, *map(_moments, blurred)], dim=1)], blurred[-1]
        for _ in range(COARSE_LEVELS):
            last = _blurred(functional.avg_pool2d(last, 2), COARSE_BLUR)
            layers.append(_moments(last))
        return layers


def _moments(blurred: Tensor) -> Tensor:
    """Return means and standard deviations, given the blurred channels followed by the blurred squares."""
    mean, mean_of_square = blurred.chunk(2, dim=1)
    return torch.cat([mean, (mean_of_square - mean.square()).clamp(min=0).sqrt()], dim=1)


def _blurred(maps: Tensor, deviation: float) -> Tensor:
    # A number in exported graphs too: runtimes need kernels of a fixed shape.
    channels = int(maps.shape[1])
    weights = torch.from_numpy(gaussian(deviation)).to(maps.device)
    reach = len(weights) // 2
    kernel = weights.expand(channels, 1, 1, -1)
    padded = functional.pad(maps, (reach, reach, reach, reach), mode="replicate")
    across = functional.conv2d(padded, kernel, groups=channels)
    return functional.conv2d(across, kernel.transpose(2, 3), groups=channels)
