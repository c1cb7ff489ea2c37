"""Inference graphs computed by ONNX Runtime or OpenVINO."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES
from geoseg.inference.memory import MemoryTrimmer

Compute = Callable[[NDArray[np.float32]], NDArray[np.float32]]
_CUDA = "CUDAExecutionProvider"
_ERRORS, _FATAL = 3, 4
"""ONNX Runtime's levels of messages."""
_SIDE_PX = 64
_AXES = 4
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


def onnx_runtime(network: bytes, threads: int, device: str = "cpu") -> Compute:
    """Return a function that runs an ONNX network of one output with ONNX Runtime."""
    compute = onnx_session(network, threads, device)
    return lambda images: compute(images)[0]


def has_cuda_provider() -> bool:
    """Return whether the installed ONNX Runtime computes with CUDA (onnxruntime-gpu)."""
    import onnxruntime

    return _CUDA in onnxruntime.get_available_providers()


def onnx_session(
    network: bytes, threads: int, device: str = "cpu"
) -> Callable[[NDArray[np.float32]], list[NDArray[np.float32]]]:
    """Return a function from images to all outputs of an ONNX network, by ONNX Runtime.

    Args:
        network: The ONNX model.
        threads: Number of CPU threads.
        device: "cpu" or "cuda".
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = _ERRORS
    # With a plan for each shape the network takes almost half as much memory again, at the same speed.
    options.enable_mem_pattern = False
    providers = ["CPUExecutionProvider"] if device == "cpu" else [_CUDA, "CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(network, options, providers=providers)

    def compute(images: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        return cast(list[NDArray[np.float32]], session.run(None, {IMAGES: images}))

    return compute


def try_out(network: bytes, channels: int) -> int:
    """Run an ONNX network once on a small image of this many channels; return its number of classes.

    Raises:
        ValueError: The network cannot be run, or gives no probabilities of each pixel.
    """
    import onnxruntime
    from onnxruntime.capi.onnxruntime_pybind11_state import (
        Fail,
        InvalidArgument,
        InvalidGraph,
        NotImplemented,
    )

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = _FATAL
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    image = np.zeros((1, channels, _SIDE_PX, _SIDE_PX), np.float32)
    try:
        session = onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        [found] = session.run(None, {IMAGES: image})
    except (Fail, InvalidArgument, InvalidGraph, NotImplemented, RuntimeError) as error:
        raise ValueError(f"the inference graph cannot be run: {error}") from error
    if found.ndim != _AXES or found.shape[2:] != image.shape[2:]:
        raise ValueError("the inference graph gives no probabilities of each pixel")
    return int(found.shape[1])


def fuse_batch_norms(network: bytes) -> bytes:
    """Return an ONNX network with batch norms folded into convolutions, by ONNX Runtime's basic optimisations."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = _ERRORS
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(network, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


def openvino_runtime(network: bytes, precision: Literal["float32", "bf16"], threads: int) -> Compute:
    """Return a function that runs an ONNX network with OpenVINO, which must be installed.

    Args:
        network: The ONNX model.
        precision: Precision of the layers that are not quantised.
        threads: Number of CPU threads.
    """
    import openvino

    core = openvino.Core()
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": threads,
    }
    request = core.compile_model(core.read_model(network, b""), "CPU", hints).create_infer_request()

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # Copy, because the next request overwrites the memory.
        return np.array(request.infer([images])[0], np.float32)

    return compute
