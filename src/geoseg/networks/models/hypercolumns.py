"""A frozen backbone with a linear head on several of its layers, at one or two image scales.

Hypercolumns (Hariharan et al., CVPR 2015): fine layers keep edges, coarse layers keep semantics. The enlarged image
shows details, the original image shows twice the context. A linear head commutes with bilinear upsampling, so
mapping costs little more than the backbone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.inference.graphs.texture import count_texture
from geoseg.learning.architecture import BACKBONES, LIGHT_BACKBONE, Architecture
from geoseg.networks.features.texture import texture
from geoseg.networks.models.light_stages import LightStages
from geoseg.networks.models.timm_backbones import TimmStages, timm_stages

if TYPE_CHECKING:  # The module imports scikit-learn, which mapping does not need.
    from geoseg.learning.heads.logistic import Probe

LAYERS = {
    "resnet50": ("relu", "layer1", "layer2", "layer3"),
    "resnet101": ("relu", "layer1", "layer2", "layer3"),
    "mobilenet_v3_large": ("1", "3", "6", "12"),
}
"""Layers used of each backbone: the last ones at strides 2, 4, 8 and 16 (8 if dilated)."""


class Stages(nn.ModuleDict):
    """The stages of a backbone by name, in order; the forward pass returns the layers used."""

    def __init__(self, stages: Mapping[str, nn.Module], layers: Sequence[str]) -> None:
        super().__init__(stages)
        self.layers = tuple(layers)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers used (N, F_i, h_i, w_i) of images (N, B, H, W)."""
        found, last = [], images
        for name, stage in self.items():
            last = stage(last)
            if name in self.layers:
                found.append(last)
        return found

    def late_parameters(self) -> list[nn.Parameter]:
        """Return the parameters after the second layer used."""
        names = list(self)
        late = names[1 + names.index(self.layers[1]) :]
        return [parameter for name in late for parameter in self[name].parameters()]


class LayerNetwork(nn.Module):
    """A backbone up to the last layer used, with a 1x1 convolution on each layer.

    Args:
        backbone: Module from images to the layers used.
        architecture: Bands, classes, scales, and whether texture features of all bands are added.
    """

    def __init__(self, backbone: nn.Module, architecture: Architecture) -> None:
        super().__init__()
        self.backbone = backbone
        self._architecture = architecture
        self.heads = nn.ModuleList()
        with torch.no_grad():
            example = torch.zeros(1, architecture.bands, 64, 64)
            counts = [layer.shape[1] for layer in self._stages(example, backbone)]
        if architecture.has_texture:
            counts += count_texture(architecture.bands)
        for position, count in enumerate(counts):
            self.heads.append(nn.Conv2d(count, architecture.classes, 1, bias=position == 0))

    @property
    def bands(self) -> int:
        """B, the number of input channels."""
        return self._architecture.bands

    def features(self, images: Tensor) -> list[Tensor]:
        """Return the layers used (N, F_i, h_i, w_i) of images (N, B, H, W), scale by scale."""
        found = self._stages(images, self.backbone)
        return [*found, *texture(images)] if self._architecture.has_texture else found

    def _stages(self, images: Tensor, backbone: Callable[[Tensor], Sequence[Tensor]]) -> list[Tensor]:
        own = self._architecture
        taken = images[:, : own.backbone_bands]
        return [layer for scale in own.scales for layer in backbone(_enlarged(taken, scale))]

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C, H, W) of images (N, B, H, W), in float32."""
        return self._classify(self.features(images), images)

    def _classify(self, layers: Sequence[Tensor], images: Tensor) -> Tensor:
        size = images.shape[-2:]
        with torch.autocast(images.device.type, enabled=False):
            maps = [head(layer.float()) for head, layer in zip(self.heads, layers, strict=True)]
            full = [functional.interpolate(m, size, mode="bilinear", align_corners=False) for m in maps]
        return torch.stack(full).sum(dim=0)

    @torch.no_grad()
    def write(self, probe: Probe) -> None:
        """Copy a probe of the concatenated layers' features into the heads."""
        heads = [cast(nn.Conv2d, head) for head in self.heads]
        weight = torch.from_numpy(probe.weight)
        parts = torch.split(weight, [head.in_channels for head in heads], dim=1)
        for head, part in zip(heads, parts, strict=True):
            head.weight.copy_(part[:, :, None, None])
        assert heads[0].bias is not None
        heads[0].bias.copy_(torch.from_numpy(probe.bias))


def freeze_early_stages(network: nn.Module) -> list[nn.Parameter]:
    """Freeze the early stages and the heads of a layer network; return the parameters of its late stages.

    The features of the early stages (edges, grain) are general; freezing them saves a third of the time of a step.
    """
    assert isinstance(network, LayerNetwork)
    network.requires_grad_(False)
    backbone = cast(Stages | LightStages | TimmStages, network.backbone)
    late = backbone.late_parameters()
    for parameter in late:
        parameter.requires_grad_(True)
    return late


def _enlarged(images: Tensor, scale: int) -> Tensor:
    if scale == 1:
        return images
    large = functional.interpolate(images, scale_factor=scale, mode="bilinear", align_corners=False)
    return large.contiguous(memory_format=torch.channels_last)


def build_layer_network(architecture: Architecture) -> LayerNetwork:
    """Build the network with random weights (drawn from torch's generator), in evaluation mode.

    Raises:
        SettingsError: The backbone belongs to timm, and timm is not installed or has no such network.
    """
    return LayerNetwork(_stages(architecture), architecture).eval()


def _stages(architecture: Architecture) -> Stages | LightStages | TimmStages:
    if architecture.backbone == LIGHT_BACKBONE:
        return LightStages(architecture.backbone_bands)
    return (
        _torchvision_stages(architecture) if architecture.backbone in BACKBONES else timm_stages(architecture)
    )


def _torchvision_stages(architecture: Architecture) -> Stages:
    from geoseg.networks.models.deeplab import build_network  # torchvision takes seconds to import

    own = replace(architecture, bands=architecture.backbone_bands, classes=2)
    whole = build_network(own).backbone.eval()
    layers = LAYERS[architecture.backbone]
    stages = list(whole.named_children())
    last = [name for name, _ in stages].index(layers[-1])
    return Stages(dict(stages[: last + 1]), layers)
