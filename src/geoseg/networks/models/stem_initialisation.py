"""Initialisation of the first convolution without pretrained weights.

Networks trained on photographs learn blobs of colour and oriented gratings in their first layer
(Krizhevsky et al., NeurIPS 2012). Starting from such filters leaves the few labels of a point-supervised run for the
later layers.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import Tensor, nn


def init_stem(network: nn.Module, missing: Collection[str]) -> bool:
    """Initialise the first convolution with blobs and gratings if it has no pretrained weights.

    Args:
        network: The network; changed in place.
        missing: Names of the parameters without pretrained weights.

    Returns:
        Whether the convolution was changed.
    """
    name, first = next((n, m) for n, m in network.named_modules() if isinstance(m, nn.Conv2d))
    if f"{name}.weight" not in missing:
        return False
    init_gabor_filters(first)
    return True


@torch.no_grad()
def init_gabor_filters(convolution: nn.Conv2d) -> None:
    """Fill a first convolution with colour blobs and Gabor filters, drawn from torch's generator.

    Half of the filters are Gaussian blobs, half are gratings of random direction, wavelength and phase. Each has
    random band weights, and the expected norm of Kaiming initialisation (fan out).

    Args:
        convolution: Weights of shape (O, B, k, k); changed in place.
    """
    filters, bands, side, _ = convolution.weight.shape
    blobs = filters // 2
    shapes = torch.cat([_blobs(blobs, side), _gratings(filters - blobs, side)])
    mixes = torch.randn(filters, bands)
    weight = mixes[:, :, None, None] * shapes[:, None]
    expected = math.sqrt(2 / (filters * side * side)) * math.sqrt(bands * side * side)
    norm = weight.flatten(1).norm(dim=1)[:, None, None, None]
    convolution.weight.copy_(weight / norm * expected)


def _axes(side: int) -> tuple[Tensor, Tensor]:
    place = torch.arange(side) - (side - 1) / 2
    return place[:, None], place[None, :]


def _blobs(count: int, side: int) -> Tensor:
    """Return Gaussian blobs (count, side, side) of radii between an eighth and a half of the side."""
    down, across = _axes(side)
    radius = side * (0.125 + 0.375 * torch.rand(count, 1, 1))
    return torch.exp(-(down**2 + across**2) / (2 * radius**2))


def _gratings(count: int, side: int) -> Tensor:
    """Return zero-mean Gabor filters (count, side, side) of wavelengths from 2.5 px to the side."""
    down, across = _axes(side)
    angle, phase = (math.pi * factor * torch.rand(count, 1, 1) for factor in (1, 2))
    wavelength = 2.5 * (side / 2.5) ** torch.rand(count, 1, 1)
    along = across * angle.cos() + down * angle.sin()
    envelope = torch.exp(-(down**2 + across**2) / (2 * (0.3 * side) ** 2))
    waves = envelope * torch.cos(2 * math.pi * along / wavelength + phase)
    return waves - waves.mean(dim=(1, 2), keepdim=True)
