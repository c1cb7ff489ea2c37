"""Identity initialisation for the stages of a ResNet without pretrained weights."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn


def init_identity_blocks(network: nn.Module, missing: Collection[str]) -> int:
    """Initialise blocks without weights as the identity, so that a random stage does not distort the features.

    The residual branch starts at zero (Goyal et al., 2017). A shortcut with more output channels starts as the input
    and its negative, so that the ReLU loses nothing (concatenated ReLU, Shang et al., ICML 2016).

    Args:
        network: The network; changed in place.
        missing: Names of the parameters without pretrained weights.

    Returns:
        Number of blocks changed.
    """
    from torchvision.models.resnet import Bottleneck  # takes seconds to import

    changed = 0
    for name, block in network.named_modules():
        lost = {m.removeprefix(f"{name}.") for m in missing if m.startswith(f"{name}.")}
        if not isinstance(block, Bottleneck) or not lost & {f"conv{n}.weight" for n in (1, 2, 3)}:
            continue
        for parameter in block.bn3.parameters():
            nn.init.zeros_(parameter)
        if "downsample.0.weight" in lost and block.downsample is not None:
            _init_shortcut(block.downsample)
        changed += 1
    return changed


@torch.no_grad()
def _init_shortcut(shortcut: nn.Module) -> None:
    convolution, norm = shortcut.children()
    assert isinstance(convolution, nn.Conv2d)
    assert isinstance(norm, nn.BatchNorm2d)
    width = convolution.in_channels
    copy = torch.eye(width)[:, :, None, None]
    repeats = -(-convolution.out_channels // width)
    signed = torch.cat([copy if n % 2 == 0 else -copy for n in range(repeats)])
    convolution.weight.copy_(signed[: convolution.out_channels])
    norm.reset_parameters()
