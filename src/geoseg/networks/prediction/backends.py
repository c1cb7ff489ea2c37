"""Inference backends: torch, compiled torch, ONNX Runtime and OpenVINO."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.util import find_spec
from typing import Literal, TypeVar

import numpy as np
import torch

from geoseg.domain.ports import Predictor
from geoseg.errors import SettingsError
from geoseg.inference.runtimes import Compute, RuntimePredictor, onnx_runtime, openvino_runtime
from geoseg.networks.models.model_file import Model
from geoseg.networks.prediction.compiling import compiled_predictor
from geoseg.networks.prediction.exporting import export_onnx, to_openvino
from geoseg.networks.prediction.torch_predictor import TorchPredictor

Backend = Literal["torch", "compiled", "onnx", "openvino"]
Int8Backend = Literal["onnx", "openvino"]
ExactPrecision = Literal["float32", "bf16"]

_INT8_BACKENDS: tuple[Int8Backend, ...] = ("onnx", "openvino")

# "auto" does not measure "compiled", which is therefore absent here: compiling takes a minute or more in each
# process and gains about 4 % on an AVX2 core. Select it for jobs that take hours.
_PACKAGES: dict[Backend, tuple[str, ...]] = {
    "torch": ("torch",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino",),
}

_Name = TypeVar("_Name", bound=Backend)


def installed_backends(model: Model, device: str) -> list[Backend]:
    """Return the backends that "auto" chooses from; forests and devices other than the CPU have torch only."""
    if device != "cpu" or model.record.architecture.head == "forest":
        return ["torch"]
    return [name for name, needed in _PACKAGES.items() if not _missing(needed)]


def build_predictor(model: Model, backend: Backend, *, device: str, precision: ExactPrecision) -> Predictor:
    """Return the model ready to predict.

    Args:
        model: The model.
        backend: The inference backend.
        device: "cpu", "cuda" or "mps"; ONNX Runtime and OpenVINO support "cpu" only, "compiled" all but "mps".
        precision: ONNX Runtime has only "float32".

    Raises:
        SettingsError: The backend is not installed, or does not support the device or the precision.
        ModelFileError: The model is a forest, which only the torch backend supports.
    """
    if backend == "torch":
        return TorchPredictor(model, device, precision)
    if backend == "compiled":
        return compiled_predictor(model, device, precision)
    _check_installed(backend, usable=installed_backends(model, device))
    _check_on_cpu(backend, device)
    if backend == "openvino":
        return _runtime_predictor(
            model, openvino_runtime(to_openvino(model), precision, torch.get_num_threads())
        )
    if precision != "float32":
        raise SettingsError(
            "ONNX Runtime computes in float32 here, or in int8", where="--precision", got=precision
        )
    return _runtime_predictor(model, onnx_runtime(export_onnx(model), torch.get_num_threads()))


def build_int8_predictor(model: Model, backend: Int8Backend, network: bytes) -> Predictor:
    """Return a quantised model ready to predict.

    Args:
        model: The model.
        backend: The inference backend.
        network: The quantised model as ONNX, which both runtimes read.
    """
    threads = torch.get_num_threads()
    onnx = backend == "onnx"
    compute = onnx_runtime(network, threads) if onnx else openvino_runtime(network, "float32", threads)
    return _runtime_predictor(model, compute)


def _runtime_predictor(model: Model, compute: Compute) -> Predictor:
    return RuntimePredictor(compute, model.record.normalisation.apply, len(model.record.legend))


def check_int8(model: Model, backend: Backend | Literal["auto"], device: str) -> None:
    """Check that a model can run in int8.

    Raises:
        SettingsError: The model is a forest, the backend or the device has no int8, or a package is not installed.
    """
    if model.record.architecture.head == "forest":
        raise SettingsError(
            "a random forest cannot be quantised to int8",
            where="--precision",
            got="int8",
            hint="Leave out --precision int8.",
        )
    if backend not in ("auto", *_INT8_BACKENDS):
        raise SettingsError(
            "this backend does not support int8",
            where="--backend",
            expected="onnx, openvino or auto",
            got=backend,
            hint="Use --backend auto, which chooses the faster of the two.",
        )
    _check_on_cpu("int8", device)
    if backend == "openvino":
        _check_installed("openvino", usable=["onnx"])
    # Quantising needs ONNX Runtime for both backends.
    _check_installed("onnx", usable=["float32"], where="--precision")


def fastest_backend(
    model: Model, *, device: str, precision: ExactPrecision, side_px: int
) -> tuple[Backend, Predictor, str]:
    """Time every installed backend on one window; return the fastest, its predictor, and the timings as text.

    Args:
        model: The model.
        device: "cpu", "cuda" or "mps".
        precision: "float32" or "bf16"; ONNX Runtime is timed in float32 only.
        side_px: Side of the window.
    """
    names = [b for b in installed_backends(model, device) if b != "onnx" or precision == "float32"]
    builders = {b: partial(build_predictor, model, b, device=device, precision=precision) for b in names}
    return _fastest(builders, bands=len(model.record.bands), side_px=side_px)


def fastest_int8(model: Model, network: bytes, *, side_px: int) -> tuple[Int8Backend, Predictor, str]:
    """Time ONNX Runtime and OpenVINO, where installed, on one window of a quantised model."""
    names = [b for b in _INT8_BACKENDS if not _missing(_PACKAGES[b])]
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


def _check_installed(backend: Backend, *, usable: Sequence[str], where: str = "--backend") -> None:
    if missing := _missing(_PACKAGES[backend]):
        raise SettingsError(
            f"the backend {backend} is not installed" if where == "--backend" else "int8 needs ONNX Runtime",
            where=where,
            expected=", ".join(usable),
            got=f"no {', '.join(missing)}",
            hint=f"pip install geoseg-pointai[{backend}]",
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


def _missing(packages: Sequence[str]) -> list[str]:
    return [name for name in packages if find_spec(name) is None]
