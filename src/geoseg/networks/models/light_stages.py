"""The bundled backbone: the stages of EfficientNet-Lite0 with ImageNet weights, a file of this package."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.inference.graphs.light_backbone import (
    PREFIX,
    layer_key,
    stage_nodes,
    stage_outputs,
    stage_tensors,
)
from geoseg.networks.models.timm_backbones import SamePadding
from geoseg.networks.models.weights import WeightsReport


class LightStages(nn.Module):
    """EfficientNet-Lite0 up to stride 16 (Tan and Le, ICML 2019), with the padding of TensorFlow.

    The layers are those of :mod:`geoseg.inference.graphs.light_backbone`: convolutions, ReLU6 and sums.

    Args:
        bands: Number of input channels; the first convolution is adapted to it.
        is_pretrained: Whether the weights are those of the file, trained on ImageNet; otherwise the kernels are random.
    """

    def __init__(self, bands: int, *, is_pretrained: bool = False) -> None:
        super().__init__()
        weights = stage_tensors(bands)
        self.layers = nn.ModuleDict(
            {layer_key(node): _convolution(node, weights) for node in stage_nodes() if node.op_type == "Conv"}
        )
        if not is_pretrained:
            self._randomise()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers (N, F_i, h_i, w_i) at strides 2, 4, 8 and 16 of images (N, B, H, W).

        Height and width must be multiples of 16.
        """
        values = {"images": images}
        for node in stage_nodes():
            values[node.output[0]] = self._compute(node, values)
        return [values[name] for name in stage_outputs()]

    def late_parameters(self) -> list[nn.Parameter]:
        """Return the second half of the parameter tensors, in the order of their convolutions."""
        parameters = list(self.parameters())
        return parameters[len(parameters) // 2 :]

    def _compute(self, node: Any, values: dict[str, Tensor]) -> Tensor:
        if node.op_type == "Add":
            return values[node.input[0]] + values[node.input[1]]
        taken = values[node.input[0]]
        return functional.relu6(taken) if node.op_type == "Clip" else self.layers[layer_key(node)](taken)

    def _randomise(self) -> None:
        for layer in self.layers.values():
            assert isinstance(layer, nn.Conv2d)
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)


def load_bundled_weights(network: nn.Module, bands: int) -> WeightsReport:
    """Load the weights of the package into the light ``backbone`` of a network; the heads are unchanged."""
    found = LightStages(bands, is_pretrained=True).state_dict()
    network.get_submodule("backbone").load_state_dict(found)
    heads = tuple(name for name in network.state_dict() if not name.startswith("backbone."))
    return WeightsReport("bundled", len(found), heads, ())


def _convolution(node: Any, weights: dict[str, Any]) -> nn.Conv2d:
    weight, bias = (torch.tensor(weights[f"{PREFIX}{layer_key(node)}.{part}"]) for part in ("weight", "bias"))
    settings: dict[str, Any] = {a.name: a.i if a.name == "group" else list(a.ints) for a in node.attribute}
    before, _, after, _ = settings["pads"]
    groups, stride = settings["group"], settings["strides"][0]
    layer = nn.Conv2d(
        weight.shape[1] * groups, len(weight), weight.shape[2], stride=stride, padding=before, groups=groups
    )
    with torch.no_grad():
        layer.weight.copy_(weight)
        assert layer.bias is not None
        layer.bias.copy_(bias)
    return SamePadding(layer) if after > before else layer
