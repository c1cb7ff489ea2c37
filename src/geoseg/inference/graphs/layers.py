"""Layers of the bundled backbone at one or two image scales, with a linear classifier on each.

Hypercolumns (Hariharan et al., CVPR 2015): fine layers keep edges, coarse layers keep semantics. A linear classifier
commutes with bilinear upsampling, so mapping costs little more than the backbone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES, GraphBuilder, add_resize, add_upsampling
from geoseg.inference.graphs.light_backbone import add_stages, stage_tensors
from geoseg.inference.graphs.texture import add_texture, count_texture

STAGE_CHANNELS = (16, 24, 40, 112)
"""Channels of the bundled backbone's layers at strides 2, 4, 8 and 16."""


@dataclass(frozen=True)
class LayerPlan:
    """Which features of images are computed.

    Attributes:
        channels: B, the channels of the images.
        backbone_bands: Number of channels that the backbone takes, from the first on.
        scales: Scale factors of the images before the backbone.
        has_texture: Whether colour and texture of all channels are added.
    """

    channels: int
    backbone_bands: int
    scales: tuple[int, ...]
    has_texture: bool

    @property
    def counts(self) -> list[int]:
        """Number of features of each layer."""
        texture = count_texture(self.channels) if self.has_texture else ()
        return [*STAGE_CHANNELS * len(self.scales), *texture]

    def insets_px(self, margin_px: int) -> list[int]:
        """Return how many pixels of the margin around the points each layer can do without.

        Enlarged twice, the backbone looks half as far, so half the margin around it is enough.
        """
        backbone = [margin_px - margin_px // scale for scale in self.scales for _ in STAGE_CHANNELS]
        return backbone + [0] * (len(self.counts) - len(backbone))


def feature_graph(plan: LayerPlan, margin_px: int = 0) -> bytes:
    """Return a graph from images (N, B, H, W) to layers (N, F_i, h_i, w_i), one output for each.

    Args:
        plan: The layers.
        margin_px: Pixels at the edges of the images that are context only, a multiple of 32. The layers cover the images
            without their insets (:meth:`LayerPlan.insets_px`).
    """
    builder = GraphBuilder()
    layers = _add_layers(builder, plan, margin_px)
    return builder.build({f"layer_{n}": layer for n, layer in enumerate(layers)}, channels=plan.channels)


def linear_graph(plan: LayerPlan, weight: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return a graph from images (N, B, H, W) to logits (N, C, H, W): a linear classifier of all layers.

    Args:
        plan: The layers.
        weight: (C, F) for the features of all layers, concatenated.
        bias: (C,).
    """
    builder = GraphBuilder()
    parts = np.split(weight, np.cumsum(plan.counts)[:-1], axis=1)
    maps = []
    for n, (layer, part) in enumerate(zip(_add_layers(builder, plan), parts, strict=True)):
        names = [builder.tensor(f"heads.{n}.weight", part[:, :, None, None])]
        if n == 0:
            names.append(builder.tensor("heads.0.bias", bias))
        scores = builder.add("Conv", layer, *names, kernel_shape=(1, 1))
        maps.append(add_upsampling(builder, scores, IMAGES))
    return builder.build({"logits": builder.add("Sum", *maps)}, channels=plan.channels)


def _add_layers(builder: GraphBuilder, plan: LayerPlan, margin_px: int = 0) -> Sequence[str]:
    taken = IMAGES
    if plan.backbone_bands < plan.channels:
        ends = [builder.constant([n], np.int64) for n in (0, plan.backbone_bands, 1)]
        taken = builder.add("Slice", IMAGES, *ends)
    layers, tensors = list[str](), stage_tensors(plan.backbone_bands)
    for scale in plan.scales:
        images = taken
        if inset := margin_px - margin_px // scale:
            ends = [builder.constant([n] * 2, np.int64) for n in (inset, -inset)]
            images = builder.add("Slice", images, *ends, builder.constant([2, 3], np.int64))
        if scale != 1:
            images = add_resize(builder, images, scales=builder.constant([1, 1, scale, scale]))
        layers += add_stages(builder, images, tensors)
    return [*layers, *add_texture(builder, IMAGES, plan.channels)] if plan.has_texture else layers
