"""Export of torch networks as inference graphs."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import TrainingError
from geoseg.inference.graphs.builder import IMAGES, OPSET
from geoseg.inference.runtimes import onnx_session
from geoseg.learning.model_file import InferenceGraph, inference_graph

_EXAMPLE_PX = 128
_OTHER_PX = (96, 160)
_TOLERANCE = 1e-3


class _FullSize(nn.Module):
    """A network whose logits are upsampled to the size of the images."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        logits = self.network(images).float()
        return functional.interpolate(logits, images.shape[-2:], mode="bilinear", align_corners=False)


def to_inference_graph(network: nn.Module, channels: int) -> InferenceGraph:
    """Return a network as an inference graph, with the tensors of its state dict.

    The network is traced on an example. torch's other exporter analyses every image size that there could be, which
    takes twenty times as long. The graph is then compared with the network on images of another size.

    Args:
        network: From images (N, B, H, W) to logits (N, C, h, w); it is not changed.
        channels: B.

    Raises:
        TrainingError: The graph gives other logits than the network.
    """
    # Contiguous strides: the graph must not depend on torch's memory format.
    own = copy.deepcopy(network).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    state = {name: tensor.detach().numpy() for name, tensor in own.state_dict().items()}
    whole = _FullSize(own)
    graph = _traced(whole, channels)
    _compare(graph, whole, channels)
    return inference_graph(graph, state)


def _traced(whole: _FullSize, channels: int) -> bytes:
    import onnx

    written = io.BytesIO()
    example = torch.zeros(2, channels, _EXAMPLE_PX, _EXAMPLE_PX)
    with _suppress_warnings(), torch.inference_mode(False), torch.no_grad():
        torch.onnx.export(
            whole,
            (example,),
            cast(Any, written),  # a file object is accepted without dynamo
            dynamo=False,
            # Keeps batch norms apart, so that the tensors stay those of the state dict; runtimes fold them.
            training=torch.onnx.TrainingMode.PRESERVE,
            do_constant_folding=False,
            dynamic_axes={IMAGES: {0: "n", 2: "h", 3: "w"}},
            input_names=[IMAGES],
            output_names=["logits"],
            opset_version=OPSET,
        )
    return _with_names_of(onnx.load_from_string(written.getvalue()))


def _with_names_of(model: Any) -> bytes:
    """Return a graph whose tensors have the names of the network's state dict, without the wrapper's prefix."""
    prefix = "network."
    names = {tensor.name: tensor.name.removeprefix(prefix) for tensor in model.graph.initializer}
    for tensor in model.graph.initializer:
        tensor.name = names[tensor.name]
    for node in model.graph.node:
        node.doc_string = ""
        for position, name in enumerate(node.input):
            node.input[position] = names.get(name, name)
    return bytes(model.SerializeToString())


def _compare(graph: bytes, whole: nn.Module, channels: int) -> None:
    draw = torch.Generator().manual_seed(0)
    images = torch.randn(1, channels, *_OTHER_PX, generator=draw)
    with torch.no_grad():
        expected: NDArray[np.float32] = whole(images).numpy()
    [found] = onnx_session(graph, 1)(images.numpy())
    spread = np.abs(expected - expected.mean()).max() + 1e-2 * np.abs(expected).max()
    if not found.shape == expected.shape or np.abs(found - expected).max() > _TOLERANCE * spread:
        raise TrainingError(
            "the network cannot be written as an inference graph, because the graph gives other values",
            hint="Use another --backbone.",
        )


@contextmanager
def _suppress_warnings() -> Iterator[None]:
    """Hide the exporter's warnings: it is deprecated, and warns of every size that it takes as a constant."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
