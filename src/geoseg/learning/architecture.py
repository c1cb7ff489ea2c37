"""What defines a network besides its weights, readable without loading torch."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from geoseg.errors import SettingsError

Backbone = Literal["resnet50", "resnet101", "mobilenet_v3_large"]
BACKBONES: tuple[Backbone, ...] = ("resnet50", "resnet101", "mobilenet_v3_large")
BlockStyle = Literal["pytorch", "caffe"]
Head = Literal["aspp", "linear", "forest"]
OUTPUT_STRIDES = (8, 16)
SCALES = ((1,), (2,), (1, 2))
COLORS = 3
"""Bands that pretrained backbones know."""


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
