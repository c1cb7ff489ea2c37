"""DeepLabV3 whose output does not depend on the window size.

Chen et al., "Rethinking atrous convolution for semantic image segmentation" (2017), on torchvision's
modules and with their parameter names. Two parts are changed, because they would make the map depend on the window.
Layers that average over the whole window (image pooling, MobileNetV3's squeeze-and-excitation) average a fixed
neighbourhood. The atrous rates follow the training patch, so that every tap of a kernel sees image content in
training.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import segmentation
from torchvision.models.resnet import Bottleneck
from torchvision.ops import SqueezeExcitation

from geoseg.learning.architecture import BACKBONES as BACKBONES
from geoseg.learning.architecture import COLORS as COLORS
from geoseg.learning.architecture import OUTPUT_STRIDES as OUTPUT_STRIDES
from geoseg.learning.architecture import SCALES as SCALES
from geoseg.learning.architecture import Architecture as Architecture
from geoseg.learning.architecture import Backbone as Backbone
from geoseg.learning.architecture import BlockStyle as BlockStyle
from geoseg.learning.architecture import Head as Head

DROPOUT = 0.1

_BUILDERS = {
    "resnet50": segmentation.deeplabv3_resnet50,
    "resnet101": segmentation.deeplabv3_resnet101,
    "mobilenet_v3_large": segmentation.deeplabv3_mobilenet_v3_large,
}


class LocalMean(nn.Module):
    """Mean over ``cells`` x ``cells`` cells around each cell, clipped at the border."""

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

    The convolution and the average commute, because both are linear; averaging after the convolution is cheaper. The
    modules keep the positions and parameter names of torchvision's ``ASPPPooling``.
    """

    def __init__(self, pooling: nn.Sequential, cells: int) -> None:
        super().__init__(LocalMean(cells), *list(pooling)[1:])

    def forward(self, features: Tensor) -> Tensor:
        """Return pooled features (N, 256, h, w) of features (N, C, h, w)."""
        mean, convolution, norm, activation = self
        return cast(Tensor, activation(norm(mean(convolution(features)))))


class DeepLabV3(nn.Module):
    """A backbone and torchvision's DeepLabV3 head; the logits have the resolution of the head."""

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
    _localise_squeeze_excitation(network.backbone, architecture)
    _configure_aspp(network.classifier, architecture)
    _replace_first_convolution(network.backbone, architecture.bands)
    return network


def split_parameters(
    network: DeepLabV3, missing: Collection[str]
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the pretrained parameters of the backbone, and the parameters with the higher learning rate.

    The latter are those of the head, and those of the backbone without pretrained weights.

    Args:
        network: The network.
        missing: Names of the parameters without pretrained weights.
    """
    pretrained, fresh = list[nn.Parameter](), list[nn.Parameter]()
    for name, parameter in network.named_parameters():
        is_pretrained = name.startswith("backbone.") and name not in missing
        (pretrained if is_pretrained else fresh).append(parameter)
    return pretrained, fresh


def _set_strides(backbone: nn.Module, architecture: Architecture) -> None:
    """Set strides up to the output stride, and dilation in the stages after it."""
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


def _localise_squeeze_excitation(backbone: nn.Module, architecture: Architecture) -> None:
    """Limit squeeze-and-excitation to a neighbourhood of the same ground size at every stride."""
    cell_px = 1
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d):
            cell_px *= module.stride[0]
        elif isinstance(module, SqueezeExcitation):
            module.register_module("avgpool", LocalMean(architecture.neighbourhood(cell_px)))


def _configure_aspp(classifier: nn.Module, architecture: Architecture) -> None:
    branches = cast(nn.ModuleList, classifier.get_submodule("0.convs"))
    for position, rate in enumerate(architecture.atrous_rates, start=1):
        convolution = cast(nn.Conv2d, branches.get_submodule(f"{position}.0"))
        convolution.dilation = convolution.padding = (rate, rate)
    branches[4] = LocalPooling(cast(nn.Sequential, branches[4]), architecture.pooled_cells)
    # torchvision's dropout of 0.5 is too strong for short fits to few points.
    cast(nn.Dropout, classifier.get_submodule("0.project.3")).p = DROPOUT
    last = cast(nn.Conv2d, classifier.get_submodule("1"))
    last.dilation = last.padding = (architecture.head_dilation, architecture.head_dilation)


def _replace_first_convolution(backbone: nn.Module, bands: int) -> None:
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
