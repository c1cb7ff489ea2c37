"""DeepLabV3 made safe for windows of any size.

Chen et al., "Rethinking atrous convolution for semantic image segmentation" (2017), on torchvision's
modules and with their parameter names. Two parts differ, because with them the map would depend on
the window: whatever averages over all that the window holds (image pooling, and MobileNetV3's
squeeze-and-excitation) averages a fixed neighbourhood, and the atrous rates follow the training
patch, so that every tap of every kernel has met image content.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import segmentation
from torchvision.models.resnet import Bottleneck
from torchvision.ops import SqueezeExcitation

from geoseg.errors import SettingsError

Backbone = Literal["resnet50", "resnet101", "mobilenet_v3_large"]
BACKBONES: tuple[Backbone, ...] = ("resnet50", "resnet101", "mobilenet_v3_large")
BlockStyle = Literal["pytorch", "caffe"]
Head = Literal["aspp", "linear", "forest"]
OUTPUT_STRIDES = (8, 16)
SCALES = ((1,), (2,), (1, 2))
DROPOUT = 0.1
COLORS = 3
"""Bands that pretrained backbones know."""

_BUILDERS = {
    "resnet50": segmentation.deeplabv3_resnet50,
    "resnet101": segmentation.deeplabv3_resnet101,
    "mobilenet_v3_large": segmentation.deeplabv3_mobilenet_v3_large,
}


@dataclass(frozen=True)
class Architecture:
    """What defines a network besides its weights.

    Attributes:
        backbone: One of ``BACKBONES``; a linear head takes others too, by the names that timm has for them.
        bands: B, input channels: the raster's bands, and the indices that join them.
        classes: C.
        patch_px: Side of the training patches; sets the atrous rates and the pooled neighbourhood.
        output_stride: Pixels per cell of the logits, 8 or 16 (MobileNetV3: always 16).
        block_style: Where a ResNet stage strides: on its first block's 3x3 convolution ("pytorch")
            or 1x1 convolution ("caffe", as in He et al., 2016, and weights derived from theirs).
        head_dilation: Rate of the 3x3 convolution behind the pyramid; more than 1 where the weights
            were trained at a coarser output stride.
        head: DeepLabV3's pyramid ("aspp"), one linear layer on several layers ("linear"), or no network at
            all but a random forest ("forest").
        has_texture: Whether a linear head also reads colour and texture of all channels; the backbone then takes the
            first three bands alone.
        scales: How many times the network enlarges the image, once for each reading of it, one of ``SCALES``; only
            a linear head takes others than (1,).
        indices: How many of the channels, the last ones, are indices.
    """

    backbone: str = "resnet50"
    bands: int = 3
    classes: int = 2
    patch_px: int = 256
    output_stride: int = 8
    block_style: BlockStyle = "pytorch"
    head_dilation: int = 1
    head: Head = "aspp"
    scales: tuple[int, ...] = (1,)
    has_texture: bool = False
    indices: int = 0

    @property
    def enlarge(self) -> int:
        """How many times the image is enlarged at most."""
        return max(self.scales)

    @property
    def backbone_bands(self) -> int:
        """How many of the channels, from the first on, the backbone takes."""
        return min(self.bands - self.indices, COLORS) if self.has_texture else self.bands

    @property
    def cell_px(self) -> int:
        """Side of a cell of the logits in pixels."""
        return 16 if self.backbone == "mobilenet_v3_large" else self.output_stride

    def at_stride(self, output_stride: int) -> Architecture:
        """Return the architecture with a finer output stride, for the same weights.

        Every kernel keeps its reach on the ground (Chen et al., 2017, section 3.2), so the cells that
        both have in common keep their logits, but for what is pooled.

        Raises:
            SettingsError: It would be coarser, or the backbone has no other than its own.
        """
        only = None if self.backbone.startswith("resnet") and self.backbone in BACKBONES else self.cell_px
        if output_stride > self.cell_px or output_stride != (only or output_stride):
            raise SettingsError(
                "the model cannot map at this output stride",
                where="--output-stride",
                expected=f"{only}, as {self.backbone} has no other"
                if only
                else f"at most {self.cell_px}, as trained",
                got=output_stride,
            )
        spread = self.head_dilation * self.cell_px // output_stride
        return replace(self, output_stride=output_stride, head_dilation=spread)

    @property
    def atrous_rates(self) -> tuple[int, int, int]:
        """Rates of the pyramid in cells: an eighth, a quarter and three eighths of the patch."""
        cells = self.patch_px / self.cell_px
        return max(1, round(cells / 8)), max(2, round(cells / 4)), max(3, round(3 * cells / 8))

    @property
    def pooled_cells(self) -> int:
        """Side of the neighbourhood that image pooling averages, in cells of the logits."""
        return self.neighbourhood(self.cell_px)

    def neighbourhood(self, cell_px: int) -> int:
        """Return the side of the neighbourhood for averages in cells of ``cell_px``: half a patch, odd."""
        return 2 * max(1, round(self.patch_px / cell_px / 4)) + 1


class LocalMean(nn.Module):
    """Mean over a square of ``cells`` x ``cells`` around each cell, cut at the border."""

    def __init__(self, cells: int) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, features: Tensor) -> Tensor:
        """Return means of the shape of the features (N, C, h, w)."""
        side, reach = self.cells, self.cells // 2
        down = functional.avg_pool2d(features, (side, 1), 1, (reach, 0), count_include_pad=False)
        return functional.avg_pool2d(down, (1, side), 1, (0, reach), count_include_pad=False)


class LocalPooling(nn.Sequential):
    """Image pooling over a neighbourhood: 1x1 convolution, moving average, batch norm, ReLU.

    The convolution and the average are linear and commute, so averaging last costs a fraction; the
    modules keep torchvision's positions (and parameter names) in ``ASPPPooling``.
    """

    def __init__(self, pooling: nn.Sequential, cells: int) -> None:
        super().__init__(LocalMean(cells), *list(pooling)[1:])

    def forward(self, features: Tensor) -> Tensor:
        """Return pooled features (N, 256, h, w) of features (N, C, h, w)."""
        mean, convolution, norm, activation = self
        return cast(Tensor, activation(norm(mean(convolution(features)))))


class DeepLabV3(nn.Module):
    """A backbone and torchvision's DeepLabV3 head; gives logits at the head's own resolution."""

    def __init__(self, backbone: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.classifier = classifier

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, C, ceil(H / output stride), ceil(W / output stride)) of images (N, B, H, W)."""
        return cast(Tensor, self.classifier(self.backbone(images)["out"]))


def build_network(architecture: Architecture) -> DeepLabV3:
    """Build the network with random weights (drawn from torch's generator)."""
    parts = _BUILDERS[architecture.backbone](
        weights=None, weights_backbone=None, num_classes=architecture.classes, aux_loss=False
    )
    network = DeepLabV3(parts.backbone, parts.classifier)
    if architecture.backbone != "mobilenet_v3_large":
        _set_strides(network.backbone, architecture)
    _squeeze_locally(network.backbone, architecture)
    _fit_pyramid(network.classifier, architecture)
    _take_bands(network.backbone, architecture.bands)
    return network


def split_parameters(
    network: DeepLabV3, missing: Collection[str]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the pretrained parameters of the backbone, and those that learn faster.

    These are the head's, and those of the backbone that no weights were found for.

    Args:
        network: The network.
        missing: Names of the parameters that no weights were found for.
    """
    pretrained, fresh = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in network.named_parameters():
        is_pretrained = name.startswith("backbone.") and name not in missing
        (pretrained if is_pretrained else fresh).append(parameter)
    return pretrained, fresh


def _set_strides(backbone: nn.Module, architecture: Architecture) -> None:
    """Stride until the output stride is reached, and dilate from there."""
    stride_on = "conv1" if architecture.block_style == "caffe" else "conv2"
    reached, dilation = 4, 1
    for name in ("layer2", "layer3", "layer4"):
        stride = 2 if reached < architecture.output_stride else 1
        reached *= stride
        first = dilation
        dilation *= 3 - stride
        for position, block in enumerate(cast(nn.Sequential, backbone.get_submodule(name))):
            is_first = position == 0
            spread = first if is_first and architecture.block_style == "pytorch" else dilation
            _set_block(
                cast(Bottleneck, block),
                stride=stride if is_first else 1,
                dilation=spread,
                stride_on=stride_on,
            )


def _set_block(block: Bottleneck, *, stride: int, dilation: int, stride_on: str) -> None:
    block.conv1.stride = (stride, stride) if stride_on == "conv1" else (1, 1)
    block.conv2.stride = (stride, stride) if stride_on == "conv2" else (1, 1)
    block.conv2.dilation = block.conv2.padding = (dilation, dilation)
    if block.downsample is not None:
        cast(nn.Conv2d, block.downsample.get_submodule("0")).stride = (stride, stride)


def _squeeze_locally(backbone: nn.Module, architecture: Architecture) -> None:
    """Let squeeze-and-excitation see a neighbourhood, at whatever stride it sits."""
    cell_px = 1
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            cell_px *= module.stride[0]
        elif isinstance(module, SqueezeExcitation):
            module.register_module("avgpool", LocalMean(architecture.neighbourhood(cell_px)))


def _fit_pyramid(classifier: nn.Module, architecture: Architecture) -> None:
    branches = cast(nn.ModuleList, classifier.get_submodule("0.convs"))
    for position, rate in enumerate(architecture.atrous_rates, start=1):
        convolution = cast(nn.Conv2d, branches.get_submodule(f"{position}.0"))
        convolution.dilation = convolution.padding = (rate, rate)
    branches[4] = LocalPooling(cast(nn.Sequential, branches[4]), architecture.pooled_cells)
    # torchvision drops half of the channels, which short fits on few points do not recover from.
    cast(nn.Dropout, classifier.get_submodule("0.project.3")).p = DROPOUT
    last = cast(nn.Conv2d, classifier.get_submodule("1"))
    last.dilation = last.padding = (architecture.head_dilation, architecture.head_dilation)


def _take_bands(backbone: nn.Module, bands: int) -> None:
    """Replace the first convolution by one that takes ``bands`` bands."""
    name, first = next((n, m) for n, m in backbone.named_modules() if isinstance(m, nn.Conv2d))
    if first.in_channels == bands:
        return
    fresh = nn.Conv2d(
        bands,
        first.out_channels,
        cast(tuple[int, int], first.kernel_size),
        stride=cast(tuple[int, int], first.stride),
        padding=cast(tuple[int, int], first.padding),
        bias=first.bias is not None,
    )
    nn.init.kaiming_normal_(fresh.weight, mode="fan_out", nonlinearity="relu")
    backbone.set_submodule(name, fresh)


def adapt_first_convolution(weight: Tensor, bands: int) -> Tensor:
    """Adapt a first convolution (O, I, k, k) to ``bands`` bands, keeping its response to grey.

    Bands beyond the pretrained ones start as the mean of those; all are shifted and scaled alike, so
    that a picture whose bands are alike gives the same features as before.
    """
    known = weight.shape[1]
    if bands == known:
        return weight
    mean = weight.mean(dim=1, keepdim=True)
    extra = mean.expand(-1, max(0, bands - known), -1, -1)
    taken = torch.cat([weight[:, :bands], extra], dim=1)
    return (taken - taken.mean(dim=1, keepdim=True) + mean) * (known / bands)
