"""Inference of exported networks on the CPU with ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.memory import MemoryTrimmer

Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]
Normalise = Callable[[NDArray[np.float32], NDArray[np.bool_]], NDArray[np.float32]]


class RuntimePredictor:
    """An inference graph as a predictor of class probabilities.

    Args:
        compute: Function from normalised images (N, B, H, W) to probabilities (N, C, H, W), float32.
        normalise: Function from raw pixels (N, B, H, W) and their validity (N, H, W) to normalised images.
        classes: C, the number of classes.
    """

    def __init__(self, compute: Compute, normalise: Normalise, classes: int) -> None:
        self.classes = classes
        self._compute, self._normalise, self._free = compute, normalise, MemoryTrimmer()

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w), float32, of raw pixels (N, B, h, w)."""
        self._free.trim_on_new_shape(pixels.shape)
        return self._compute(self._normalise(pixels, valid))


def onnx_runtime(network: bytes, threads: int) -> Compute:
    """Return a function that runs an ONNX network of one output with ONNX Runtime."""
    compute = onnx_session(network, threads)
    return lambda images: compute(images)[0]


def onnx_session(network: bytes, threads: int) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return a function from images to all outputs of an ONNX network, by ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])

    def compute(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return cast(list[NDArray[np.float32]], session.run(None, {"images": images}))

    return compute


def openvino_runtime(network: Any, precision: Literal["float32", "bf16"], threads: int) -> Compute:
    """Return a function that runs a network with OpenVINO, which must be installed.

    Args:
        network: An OpenVINO graph, or ONNX as bytes.
        precision: Precision of the layers that are not quantised.
        threads: Number of CPU threads.
    """
    import openvino

    core = openvino.Core()
    graph = core.read_model(network, b"") if isinstance(network, bytes) else network
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    request = core.compile_model(graph, "CPU", hints).create_infer_request()

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # Copy, because the next request overwrites the memory.
        return np.array(request.infer([images])[0], np.float32)

    return compute
