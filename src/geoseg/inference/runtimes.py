"""Exported networks computed on the CPU by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.inference.memory import FreeMemory
from geoseg.networks.models.model_file import Model

Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class RuntimePredictor:
    """A model computed by another runtime on the CPU.

    Args:
        model: The model.
        compute: From normalised images (N, B, H, W) to probabilities (N, C, H, W), float32.
    """

    def __init__(self, model: Model, compute: Compute) -> None:
        self._record, self._compute, self._free = model.record, compute, FreeMemory()

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return len(self._record.legend)

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w), float32, of raw pixels (N, B, h, w)."""
        self._free.make_room(pixels.shape)
        images = self._record.normalisation.apply(torch.from_numpy(pixels), torch.from_numpy(valid))
        return self._compute(images.numpy())


def onnx_runtime(network: bytes) -> Compute:
    """Return what computes an ONNX network with ONNX Runtime, which must be installed."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return cast(NDArray[np.float32], session.run(None, {"images": images})[0])

    return compute


def openvino_runtime(network: Any, precision: Literal["float32", "bf16"]) -> Compute:
    """Return what computes a network with OpenVINO, which must be installed.

    Args:
        network: A graph of OpenVINO, or ONNX as bytes.
        precision: In what to compute the parts that are not quantised.
    """
    import openvino

    core = openvino.Core()
    graph = core.read_model(network, b"") if isinstance(network, bytes) else network
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    request = core.compile_model(graph, "CPU", hints).create_infer_request()

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # A copy: the request writes its next answer into the same memory.
        return np.array(request.infer([images])[0], np.float32)

    return compute
