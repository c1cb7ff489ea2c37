"""A gentle start for stages of a pretrained ResNet that no weights were found for."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn
from torchvision.models.resnet import Bottleneck


def init_identity_blocks(network: nn.Module, missing: Collection[str]) -> int:
    """Let blocks without weights pass their input on, so that a random stage does not garble it.

    The residual branch starts at zero (Goyal et al., 2017). A shortcut that widens its input starts
    as the input and its negative, of which the ReLU keeps everything (concatenated ReLU, Shang et
    al., ICML 2016).

    Args:
        network: The network; changed in place.
        missing: Names of the parameters that no weights were found for.

    Returns:
        How many blocks were changed.
    """
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
