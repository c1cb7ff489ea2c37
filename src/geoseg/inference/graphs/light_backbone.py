"""The bundled backbone: the stages of EfficientNet-Lite0 with ImageNet weights, a file of this package.

Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks" (ICML 2019), without squeeze
and excitation, and with ReLU6. The padding is that of TensorFlow, which the weights were trained with.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import GraphBuilder

PREFIX = "backbone.layers."
"""Names of the tensors start with this, as in the torch module of the same network."""
_OPERATORS = ("Conv", "Clip", "Add")


@cache
def stage_nodes() -> tuple[Any, ...]:
    """Return the nodes of the stages: convolutions (batch norms are folded into them), ReLU6 and sums."""
    return tuple(node for node in _read().graph.node if node.op_type in _OPERATORS)


@cache
def stage_outputs() -> tuple[str, ...]:
    """Return the names of the values at strides 2, 4, 8 and 16."""
    return tuple(node.input[0] for node in _read().graph.node if node.op_type == "Identity")


def stage_tensors(bands: int) -> dict[str, NDArray[np.float32]]:
    """Return the weights trained on ImageNet by name; the first convolution is adapted to ``bands`` channels."""
    stored = _stored_tensors()
    found = {
        f"{PREFIX}{layer_key(node)}.{part}": stored[name]
        for node in stage_nodes()
        if node.op_type == "Conv"
        for name, part in zip(node.input[1:], ("weight", "bias"), strict=True)
    }
    first = next(iter(found))
    return {**found, first: adapt_first_convolution(found[first], bands)}


def add_stages(builder: GraphBuilder, images: str, tensors: dict[str, NDArray[np.float32]]) -> list[str]:
    """Add the stages to a graph.

    Args:
        builder: The graph; stages added twice share their tensors.
        images: Name of the images (N, B, H, W); height and width must be multiples of 16.
        tensors: From :func:`stage_tensors`.

    Returns:
        Names of the layers at strides 2, 4, 8 and 16.
    """
    made = {"images": images, "zero": builder.constant(0.0), "six": builder.constant(6.0)}
    for node in stage_nodes():
        inputs = [made[node.input[0]]]
        if node.op_type == "Conv":
            names = [f"{PREFIX}{layer_key(node)}.{part}" for part in ("weight", "bias")]
            inputs += [builder.tensor(name, tensors[name]) for name in names]
        else:
            inputs += [made[name] for name in node.input[1:]]
        made[node.output[0]] = builder.add(node.op_type, *inputs, **_attributes(node))
    return [made[name] for name in stage_outputs()]


def layer_key(node: Any) -> str:
    """Return the name of a convolution's layer."""
    return str(node.name).replace(".", "_")


def adapt_first_convolution(weight: NDArray[np.float32], bands: int) -> NDArray[np.float32]:
    """Adapt a first convolution (O, I, k, k) to ``bands`` bands, keeping its response to grey.

    Additional bands start as the mean of the pretrained ones. All are shifted and scaled equally, so that an image
    with equal bands gives the same features as before.
    """
    known = weight.shape[1]
    if bands == known:
        return weight
    mean = weight.mean(axis=1, keepdims=True)
    extra = np.repeat(mean, max(0, bands - known), axis=1)
    taken = np.concatenate([weight[:, :bands], extra], axis=1)
    shifted: NDArray[np.float32] = taken - taken.mean(axis=1, keepdims=True) + mean
    return shifted * np.float32(known / bands)


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


@cache
def _stored_tensors() -> dict[str, NDArray[np.float32]]:
    from onnx import numpy_helper

    return {tensor.name: numpy_helper.to_array(tensor) for tensor in _read().graph.initializer}


@cache
def _read() -> Any:
    import onnx

    path = files("geoseg.inference") / "backbones" / "efficientnet_lite0.onnx"
    return onnx.load_from_string(path.read_bytes())
