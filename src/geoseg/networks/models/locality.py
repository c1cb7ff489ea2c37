"""Measure whether the features of a network depend on the window."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

HEIGHT_PX = 32
REACHES_PX = (384, 1152)
"""Distances from the border at which features must be equal; the second is for larger receptive fields."""
CORE_PX = 64
CUT_PX = 160
"""Columns to remove: an odd multiple of 32 px, because windows may start at any multiple of 32."""
TOLERANCE = 1e-4
"""Maximum change in standard deviations of the features; rounding errors are at most 1e-5."""


@torch.no_grad()
def is_local(network: nn.Module) -> bool:
    """Return whether features at a position are the same in windows of different size and surroundings.

    A random image is compared with the same image without its first columns, which are brighter and have more
    contrast. Far from the cut only global attention, pooling, normalisation and the like can cause a difference. The
    receptive field may exceed the distance if nothing changes (Luo et al., NeurIPS 2016).

    Args:
        network: Module from images (N, 3, H, W) to a list of feature maps. Its parameters and statistics are replaced
            by random ones from torch's generator, because a layer of zeros would hide the layers after it.

    Raises:
        ValueError: The features are not aligned with the pixels.
        RuntimeError: The network does not accept images of every size.
    """
    _randomise(network)
    return any(_largest_change(network, reach) < TOLERANCE for reach in REACHES_PX)


def _largest_change(network: nn.Module, reach: int) -> float:
    whole = _texture(1, CUT_PX + reach + CORE_PX)
    whole[..., :CUT_PX] = 2 * whole[..., :CUT_PX] + 2
    part = whole[..., CUT_PX:]
    pairs = zip(_aligned(network, whole), _aligned(network, part), strict=True)
    return max(_change(*pair, reach) for pair in pairs)


def _aligned(network: nn.Module, images: Tensor) -> Sequence[Tensor]:
    found = list(network(images))
    height, width = images.shape[-2:]
    for features in found:
        stride = width // features.shape[-1]
        if (features.shape[-2] * stride, features.shape[-1] * stride) != (height, width):
            raise ValueError("the features are not aligned with the pixels")
    return found


def _change(whole: Tensor, part: Tensor, reach: int) -> float:
    """Return the largest change of the features in the core, in standard deviations."""
    cells = part.shape[-1] * CORE_PX // (reach + CORE_PX)
    one, other = whole[..., -cells:], part[..., -cells:]
    change = float((one - other).abs().max() / one.std().clamp_min(torch.finfo(one.dtype).tiny))
    return change if change == change else float("inf")


def _randomise(network: nn.Module) -> None:
    """Randomise all parameters so that every layer affects the output; estimate the batch norm statistics."""
    for name, parameter in network.named_parameters():
        if name.endswith("bias"):
            parameter.normal_(0, 0.2)
        elif parameter.numel() == max(parameter.shape, default=1):
            parameter.uniform_(0.5, 1.5)
        else:
            # He et al. (2015): keeps the scale of the features through the network.
            parameter.normal_(0, (2 * len(parameter) / parameter.numel()) ** 0.5)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d) and module.track_running_stats:
            module.reset_running_stats()
            module.momentum = None
    network.train()
    network(_texture(2, 4 * HEIGHT_PX))
    network.eval()


def _texture(count: int, width: int) -> Tensor:
    """Return random images (N, 3, h, W) with fine and coarse details."""
    images = torch.randn(count, 3, HEIGHT_PX, width)
    for cell in (4, 16):
        coarse = torch.randn(count, 3, HEIGHT_PX // cell, width // cell)
        images += functional.interpolate(coarse, images.shape[-2:], mode="bilinear", align_corners=False)
    return images
