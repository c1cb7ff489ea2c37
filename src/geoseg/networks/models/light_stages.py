"""The bundled backbone: the stages of EfficientNet-Lite0 with ImageNet weights, a file of this package."""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.inference.runtimes import onnx_session
from geoseg.networks.models.timm_backbones import SamePadding
from geoseg.networks.models.weights import WeightsReport, adapt_first_convolution


class LightStages(nn.Module):
    """EfficientNet-Lite0 up to stride 16 (Tan and Le, ICML 2019), with the padding of TensorFlow.

    The bundled ONNX file holds convolutions (batch norms are folded into them), ReLU6 and sums.

    Args:
        bands: Number of input channels; the first convolution is adapted to it.
        is_pretrained: Whether the weights are those of the file, trained on ImageNet; otherwise the kernels are random.
    """

    def __init__(self, bands: int, *, is_pretrained: bool = False) -> None:
        super().__init__()
        graph = _read_model().graph
        self._bands = bands
        self._nodes = [node for node in graph.node if node.op_type in _OPERATORS]
        # Identity nodes mark the outputs.
        self._outputs = [node.input[0] for node in graph.node if node.op_type == "Identity"]
        self.layers = nn.ModuleDict()
        weights = _initialisers(graph)
        for node in self._nodes:
            if node.op_type == "Conv":
                self.layers[_key(node)] = _convolution(node, weights)
        first = self.layers[_key(self._nodes[0])]
        assert isinstance(first, nn.Conv2d)
        first.in_channels = bands
        first.weight = nn.Parameter(adapt_first_convolution(first.weight.detach(), bands))
        if not is_pretrained:
            self._randomise()

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the layers (N, F_i, h_i, w_i) at strides 2, 4, 8 and 16 of images (N, B, H, W).

        Height and width must be multiples of 16.
        """
        values = {"images": images}
        for node in self._nodes:
            values[node.output[0]] = self._compute(node, values)
        return [values[name] for name in self._outputs]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def to_onnx_runtime(self) -> Callable[[Tensor], list[Tensor]]:
        """Return the forward pass with the current weights, computed by ONNX Runtime on the CPU."""
        compute = onnx_session(self.to_onnx(), torch.get_num_threads())

        def forward(images: Tensor) -> list[Tensor]:
            return [torch.from_numpy(layer) for layer in compute(images.float().contiguous().numpy())]

        return forward

    def to_onnx(self) -> bytes:
        """Return an ONNX model with the current weights."""
        from onnx import numpy_helper

        graph, state = _read_model(), self.layers.state_dict()
        stored = {tensor.name: tensor for tensor in graph.graph.initializer}
        for node in self._nodes:
            if node.op_type == "Conv":
                for name, part in zip(node.input[1:], ("weight", "bias"), strict=True):
                    value = state[f"{_key(node)}.{part}"].cpu().numpy()
                    stored[name].CopyFrom(numpy_helper.from_array(value, name))
        graph.graph.input[0].type.tensor_type.shape.dim[1].dim_value = self._bands
        return bytes(graph.SerializeToString())

    def late_parameters(self) -> list[nn.Parameter]:
        """Return the second half of the parameter tensors, in the order of their convolutions."""
        parameters = list(self.parameters())
        return parameters[len(parameters) // 2 :]

    def _compute(self, node: Any, values: dict[str, Tensor]) -> Tensor:
        if node.op_type == "Add":
            return values[node.input[0]] + values[node.input[1]]
        taken = values[node.input[0]]
        return functional.relu6(taken) if node.op_type == "Clip" else self.layers[_key(node)](taken)

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


_OPERATORS = ("Conv", "Clip", "Add")


def _read_model() -> Any:
    import onnx

    path = files("geoseg.learning") / "backbones" / "efficientnet_lite0.onnx"
    return onnx.load_from_string(path.read_bytes())


def _initialisers(graph: Any) -> dict[str, np.ndarray[Any, Any]]:
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}


def _key(node: Any) -> str:
    return str(node.name).replace(".", "_")


def _convolution(node: Any, weights: dict[str, np.ndarray[Any, Any]]) -> nn.Conv2d:
    weight, bias = (torch.from_numpy(weights[name].copy()) for name in node.input[1:])
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
