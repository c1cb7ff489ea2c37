"""Architecture of a network, readable without loading torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from geoseg.errors import SettingsError

Backbone = Literal["resnet50", "resnet101", "mobilenet_v3_large"]
BACKBONES: tuple[Backbone, ...] = ("resnet50", "resnet101", "mobilenet_v3_large")
LIGHT_BACKBONE = "efficientnet_lite0"
"""The bundled backbone, for a linear head."""
BlockStyle = Literal["pytorch", "caffe"]
Head = Literal["aspp", "linear", "forest", "knn", "logistic", "svm", "mlp"]
Extractor = Literal["backbone", "bands"]
OUTPUT_STRIDES = (8, 16)
SCALES = ((1,), (2,), (1, 2))
COLORS = 3
"""Number of bands of pretrained backbones."""


@dataclass(frozen=True)
class Architecture:
    """Architecture of a network.

    Attributes:
        backbone: One of ``BACKBONES``; with a linear head also ``LIGHT_BACKBONE`` or the name of a timm network.
        bands: B, the number of input channels: bands of the raster and spectral indices.
        classes: C.
        patch_px: Side of the training patches in pixels; determines the atrous rates and the pooled neighbourhood.
        output_stride: Pixels per cell of the logits, 8 or 16 (MobileNetV3: always 16).
        block_style: Convolution with the stride in the first block of a ResNet stage: 3x3 ("pytorch") or 1x1
            ("caffe", as in He et al., 2016, and weights derived from theirs).
        head_dilation: Dilation of the 3x3 convolution after the pyramid; above 1 if the weights were trained at a
            coarser output stride.
        head: DeepLabV3's pyramid ("aspp"), a linear head on several layers ("linear"), or a random forest instead of
            a network ("forest"); on bands one of the heads of :mod:`geoseg.learning.heads.head`.
        has_texture: Whether a linear head also uses texture features of all channels; the backbone then uses the
            first three bands only.
        scales: Scale factors at which the backbone is applied, one of ``SCALES``; always (1,) unless the head is
            linear.
        indices: Number of spectral indices; they are the last channels.
        extractor: What the head classifies: "bands" are the pixel values as they are, each pixel by itself.
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
    extractor: Extractor = "backbone"

    @property
    def is_network(self) -> bool:
        """Whether it is a convolutional network, which torch and OpenVINO compute too, and int8."""
        return self.head != "forest" and self.extractor == "backbone"

    @property
    def enlarge(self) -> int:
        """The largest scale factor."""
        return max(self.scales)

    @property
    def backbone_bands(self) -> int:
        """Number of channels that the backbone uses, from the first on."""
        return min(self.bands - self.indices, COLORS) if self.has_texture else self.bands

    @property
    def cell_px(self) -> int:
        """Side of a cell of the logits in pixels."""
        return 16 if self.backbone == "mobilenet_v3_large" else self.output_stride

    def at_stride(self, output_stride: int) -> Architecture:
        """Return the architecture with a finer output stride, for the same weights.

        Dilation keeps the extent of every kernel (Chen et al., 2017, section 3.2), so the logits of common cells are
        the same except for the effect of pooling.

        Raises:
            SettingsError: The stride is coarser than in training, or the backbone has only one.
        """
        only = None if self.backbone.startswith("resnet") and self.backbone in BACKBONES else self.cell_px
        if output_stride > self.cell_px or output_stride != (only or output_stride):
            raise SettingsError(
                "the model cannot map at this output stride",
                where="--output-stride",
                expected=f"{only}, the only output stride of {self.backbone}"
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
        """Return the side of the averaging neighbourhood in cells of ``cell_px``: half a patch, odd."""
        return 2 * max(1, round(self.patch_px / cell_px / 4)) + 1
