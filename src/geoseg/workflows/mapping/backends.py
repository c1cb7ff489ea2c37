"""Runtimes of a model: ONNX Runtime and OpenVINO for its inference graph, torch for its network on a GPU."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Literal, TypeVar

import numpy as np

from geoseg.domain.ports import Predictor
from geoseg.errors import SettingsError
from geoseg.inference.runtimes import (
    Compute,
    RuntimePredictor,
    has_cuda_provider,
    onnx_runtime,
    openvino_runtime,
)
from geoseg.inference.threads import cpu_threads
from geoseg.learning.model_file import Model
from geoseg.workflows.devices import TORCH_HINT, has_torch

Backend = Literal["torch", "onnx", "openvino"]
Int8Backend = Literal["onnx", "openvino"]
ExactPrecision = Literal["float32", "bf16"]

_INT8_BACKENDS: tuple[Int8Backend, ...] = ("onnx", "openvino")
_HINTS = {"torch": TORCH_HINT, "openvino": "pip install geoseg-pointai[openvino]"}

_Name = TypeVar("_Name", bound=Backend)


def default_backend(model: Model, device: str, precision: ExactPrecision) -> Backend:
    """Return the backend that is used if none is chosen: the same on every machine with the same packages.

    It is ONNX Runtime; on a GPU torch, where it is installed. In bf16 on a CPU it is OpenVINO or else torch.
    """
    if _is_no_network(model):
        return "onnx"
    if device != "cpu":
        return "torch" if has_torch() else "onnx"
    if precision == "bf16":
        return "openvino" if _is_installed("openvino") else "torch"
    return "onnx"


def default_precision(precision: ExactPrecision, model: Model, device: str) -> ExactPrecision:
    """Return the precision that a model can have on this machine if the hardware would allow this one."""
    if device != "cpu" or precision == "float32":
        return precision
    return "bf16" if not _is_no_network(model) and _is_installed("openvino") else "float32"


def installed_backends(model: Model, device: str, precision: ExactPrecision) -> list[Backend]:
    """Return the backends that "auto" measures. On a CPU torch is left out: it is slower, and slow to import."""
    if _is_no_network(model):
        return ["onnx"]
    if device != "cpu":
        return ["torch"] if has_torch() else ["onnx"]
    found: list[Backend] = ["onnx"] if precision == "float32" else []
    if _is_installed("openvino"):
        found.append("openvino")
    return found or ["torch"]


def build_predictor(
    model: Model,
    backend: Backend,
    *,
    device: str,
    precision: ExactPrecision,
    threads: int | None = None,
) -> Predictor:
    """Return the model ready to predict.

    Args:
        model: The model.
        backend: The runtime.
        device: "cpu", "cuda" or "mps"; OpenVINO supports "cpu" only, ONNX Runtime also "cuda" (onnxruntime-gpu).
        precision: ONNX Runtime has only "float32".
        threads: Number of CPU threads; None takes all.

    Raises:
        SettingsError: The backend is not installed, or does not support the model, the device or the precision.
    """
    _check_usable(model, backend, device=device, precision=precision)
    if backend == "torch":
        from geoseg.networks.prediction.torch_predictor import TorchPredictor

        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        return TorchPredictor(model, device, precision)
    threads = threads or cpu_threads()
    if backend == "openvino":
        return _runtime_predictor(model, openvino_runtime(model.onnx, precision, threads))
    # Forests and heads on bands have no use for a GPU.
    on = "cpu" if _is_no_network(model) else device
    return _runtime_predictor(model, onnx_runtime(model.onnx, threads, on))


def build_default_predictor(model: Model, device: str, precision: ExactPrecision) -> Predictor:
    """Return the model ready to predict with the backend that is used if none is chosen."""
    own = default_precision(precision, model, device)
    return build_predictor(model, default_backend(model, device, own), device=device, precision=own)


def build_int8_predictor(
    model: Model, backend: Int8Backend, network: bytes, *, threads: int | None = None
) -> Predictor:
    """Return a quantised model ready to predict.

    Args:
        model: The model.
        backend: The runtime.
        network: The quantised model as ONNX, which both runtimes read.
        threads: Number of CPU threads; None takes all.
    """
    threads = threads or cpu_threads()
    onnx = backend == "onnx"
    compute = onnx_runtime(network, threads) if onnx else openvino_runtime(network, "float32", threads)
    return _runtime_predictor(model, compute)


def _runtime_predictor(model: Model, compute: Compute) -> Predictor:
    return RuntimePredictor(compute, model.record.normalisation.apply, len(model.record.legend))


def check_int8(model: Model, backend: Backend | Literal["auto"] | None, device: str) -> None:
    """Check that a model can run in int8.

    Raises:
        SettingsError: The model has no network, the backend or the device has no int8, or a package is not installed.
    """
    if _is_no_network(model):
        raise SettingsError(
            f"{_kind(model)} cannot be quantised to int8",
            where="--precision",
            got="int8",
            hint="Leave out --precision int8.",
        )
    if backend not in (None, "auto", *_INT8_BACKENDS):
        raise SettingsError(
            "this backend does not support int8",
            where="--backend",
            expected="onnx, openvino or auto",
            got=backend,
            hint="Use --backend auto, which chooses the faster of the two.",
        )
    _check_on_cpu("int8", device)
    if backend == "openvino":
        _check_installed("openvino")


def fastest_backend(
    model: Model, *, device: str, precision: ExactPrecision, side_px: int
) -> tuple[Backend, Predictor, str]:
    """Time the installed backends on one window; return the fastest, its predictor, and the timings as text.

    Args:
        model: The model.
        device: "cpu", "cuda" or "mps".
        precision: "float32" or "bf16"; ONNX Runtime is timed in float32 only.
        side_px: Side of the window.
    """
    names = installed_backends(model, device, precision)
    builders = {b: partial(build_predictor, model, b, device=device, precision=precision) for b in names}
    return _fastest(builders, bands=len(model.record.bands), side_px=side_px)


def fastest_int8(model: Model, network: bytes, *, side_px: int) -> tuple[Int8Backend, Predictor, str]:
    """Time ONNX Runtime and, where it is installed, OpenVINO on one window of a quantised model."""
    names = [b for b in _INT8_BACKENDS if _is_installed(b)]
    builders = {b: partial(build_int8_predictor, model, b, network) for b in names}
    return _fastest(builders, bands=len(model.record.bands), side_px=side_px)


def _fastest(
    builders: Mapping[_Name, Callable[[], Predictor]], *, bands: int, side_px: int
) -> tuple[_Name, Predictor, str]:
    best: tuple[float, _Name, Predictor] | None = None
    notes = []
    for backend, build in builders.items():
        predictor = build()
        seconds = _seconds_per_window(predictor, bands, side_px)
        notes.append(f"{backend} {seconds:.2f} s")
        if best is None or seconds < best[0]:
            best = (seconds, backend, predictor)
    assert best is not None
    return best[1], best[2], f"backend {best[1]}: a window takes {', '.join(notes)}"


def _seconds_per_window(predictor: Predictor, bands: int, side_px: int) -> float:
    shape = (1, bands, side_px, side_px)
    pixels, valid = np.zeros(shape, np.float32), np.ones((1, side_px, side_px), np.bool_)
    predictor.probabilities(pixels, valid)
    started = time.perf_counter()
    predictor.probabilities(pixels, valid)
    return time.perf_counter() - started


def _check_usable(model: Model, backend: Backend, *, device: str, precision: ExactPrecision) -> None:
    _check_installed(backend)
    if _is_no_network(model) and (backend != "onnx" or precision != "float32"):
        raise SettingsError(
            f"{_kind(model)} runs with the backend onnx in float32 only",
            where="--backend" if backend != "onnx" else "--precision",
            expected="onnx" if backend != "onnx" else "float32",
            got=backend if backend != "onnx" else precision,
        )
    if backend == "openvino":
        _check_on_cpu(backend, device)
    if backend == "onnx" and precision != "float32":
        raise SettingsError(
            "ONNX Runtime computes in float32 here, or in int8", where="--precision", got=precision
        )
    if backend == "onnx" and not _is_no_network(model) and device != "cpu":
        _check_cuda_provider(device)


def _check_cuda_provider(device: str) -> None:
    if device != "cuda" or not has_cuda_provider():
        raise SettingsError(
            "the installed ONNX Runtime does not compute on this device",
            where="--device",
            expected="cpu, or cuda with the package onnxruntime-gpu",
            got=device,
            hint="Add --device cpu.",
        )


def _check_installed(backend: Backend) -> None:
    if not _is_installed(backend):
        usable: Sequence[str] = [name for name in ("onnx", "openvino", "torch") if _is_installed(name)]
        raise SettingsError(
            f"the backend {backend} is not installed",
            where="--backend",
            expected=", ".join(usable),
            got=f"no {backend}",
            hint=_HINTS.get(backend),
        )


def _check_on_cpu(what: str, device: str) -> None:
    if device != "cpu":
        raise SettingsError(
            "this backend or precision runs on the CPU only",
            where="--device",
            expected="cpu",
            got=f"{what} on {device}",
            hint="Add --device cpu.",
        )


def _is_no_network(model: Model) -> bool:
    """Return whether the model is no convolutional network, so that only ONNX Runtime computes it, on a CPU."""
    return not model.record.architecture.is_network


def _kind(model: Model) -> str:
    """Return the kind of a model without a network, for an error."""
    architecture = model.record.architecture
    return "a random forest" if architecture.head == "forest" else f"the head {architecture.head} on bands"


def _is_installed(backend: str) -> bool:
    return find_spec("onnxruntime" if backend == "onnx" else backend) is not None
