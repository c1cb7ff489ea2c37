"""What computes a network's probabilities: torch, ONNX Runtime or OpenVINO."""

from __future__ import annotations

import io
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geoseg.domain.ports import Predictor
from geoseg.errors import ModelFileError, SettingsError
from geoseg.learning.devices import give_memory_back
from geoseg.learning.inference import TorchPredictor
from geoseg.learning.model_file import Model

Backend = Literal["torch", "onnx", "openvino"]
ExactPrecision = Literal["float32", "bf16"]

_PACKAGES: dict[Backend, tuple[str, ...]] = {
    "torch": ("torch",),
    "onnx": ("onnx", "onnxscript", "onnxruntime"),
    "openvino": ("openvino",),
}
_EXAMPLE_PX = 128
_OPSET = 18


class Probabilities(nn.Module):
    """A network with all that follows it: from normalised images to probabilities at full resolution."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = model.network
        self._calibration = model.record.calibration

    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities (N, C, H, W) of normalised images (N, B, H, W), float32."""
        size = images.shape[-2:]
        logits = self.network(images).float()
        full = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        return self._calibration.apply(full).softmax(dim=1)


class CompiledPredictor:
    """A model computed by another runtime on the CPU.

    Args:
        model: The model.
        compute: From normalised images (N, B, H, W) to probabilities (N, C, H, W), float32.
    """

    def __init__(self, model: Model, compute: Callable[[NDArray[np.float32]], NDArray[np.float32]]) -> None:
        self._record, self._compute = model.record, compute
        give_memory_back()

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return len(self._record.legend)

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w), float32, of raw pixels (N, B, h, w)."""
        images = self._record.normalisation.apply(torch.from_numpy(pixels), torch.from_numpy(valid))
        return self._compute(images.numpy())


def installed_backends(model: Model, device: str) -> list[Backend]:
    """Return the backends that are there for this model; those beside torch are for networks on the CPU."""
    if device != "cpu" or model.record.architecture.head == "forest":
        return ["torch"]
    return [name for name, needed in _PACKAGES.items() if all(find_spec(p) is not None for p in needed)]


def build_predictor(model: Model, backend: Backend, *, device: str, precision: ExactPrecision) -> Predictor:
    """Return the model ready to predict.

    Args:
        model: The model.
        backend: What computes it.
        device: "cpu", "cuda" or "mps"; only torch has others than "cpu".
        precision: ONNX Runtime has only "float32".

    Raises:
        SettingsError: The backend is not installed, or has no such device or precision.
        ModelFileError: The model is a forest, which only torch's side computes.
    """
    if backend == "torch":
        return TorchPredictor(model, device, precision)
    missing = [p for p in _PACKAGES[backend] if find_spec(p) is None]
    if missing:
        raise SettingsError(
            f"the backend {backend} is not installed",
            where="--backend",
            expected=", ".join(installed_backends(model, device)),
            got=f"no {', '.join(missing)}",
            hint=f"pip install geoseg-pointai[{backend}]",
        )
    if device != "cpu":
        raise SettingsError(
            "this backend computes on the CPU only", where="--backend", got=f"{backend} on {device}"
        )
    if backend == "onnx" and precision != "float32":
        raise SettingsError("ONNX Runtime computes in float32 here", where="--precision", got=precision)
    compute = _onnx_runtime(model) if backend == "onnx" else _openvino(model, precision)
    return CompiledPredictor(model, compute)


def fastest_backend(
    model: Model, *, device: str, precision: ExactPrecision, side_px: int
) -> tuple[Backend, Predictor, str]:
    """Measure every installed backend on one window and return the fastest, ready, and what was measured.

    Args:
        model: The model.
        device: Where to compute.
        precision: In what to compute; ONNX Runtime takes part in float32 only.
        side_px: Side of the window.
    """
    best: tuple[float, Backend, Predictor] | None = None
    notes = []
    for backend in installed_backends(model, device):
        if backend == "onnx" and precision != "float32":
            continue
        predictor = build_predictor(model, backend, device=device, precision=precision)
        seconds = _seconds_a_window(predictor, len(model.record.bands), side_px)
        notes.append(f"{backend} {seconds:.2f} s")
        if best is None or seconds < best[0]:
            best = (seconds, backend, predictor)
    assert best is not None
    return best[1], best[2], f"backend {best[1]}: a window takes {', '.join(notes)}"


def _seconds_a_window(predictor: Predictor, bands: int, side_px: int) -> float:
    shape = (1, bands, side_px, side_px)
    pixels, valid = np.zeros(shape, np.float32), np.ones((1, side_px, side_px), np.bool_)
    predictor.probabilities(pixels, valid)
    started = time.perf_counter()
    predictor.probabilities(pixels, valid)
    return time.perf_counter() - started


def export_onnx(model: Model, *, tile_px: int | None = None) -> bytes:
    """Return the model as ONNX: input ``images``, normalised (N, B, H, W); output ``probabilities`` (N, C, H, W).

    Args:
        model: The model.
        tile_px: Side of the images; None leaves it open. The number of images is always open.

    Raises:
        ModelFileError: The model is a forest, which ONNX has no words for here.
        SettingsError: The packages that write ONNX are not installed.
    """
    _check_is_network(model)
    missing = [p for p in ("onnx", "onnxscript") if find_spec(p) is None]
    if missing:
        raise SettingsError(
            "what writes ONNX is not installed",
            got=f"no {', '.join(missing)}",
            hint="pip install geoseg-pointai[onnx]",
        )
    with _quietly():
        program = torch.onnx.export(
            _exportable(model),
            (_example(model, tile_px),),
            dynamo=True,
            dynamic_shapes={"images": _open_sizes(tile_px)},
            input_names=["images"],
            output_names=["probabilities"],
            opset_version=_OPSET,
            verbose=False,
        )
    file = io.BytesIO(cast(Any, program).model_proto.SerializeToString())
    return file.getvalue()


def _onnx_runtime(model: Model) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(export_onnx(model), options, providers=["CPUExecutionProvider"])

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        return cast(NDArray[np.float32], session.run(None, {"images": images})[0])

    return compute


def _openvino(
    model: Model, precision: ExactPrecision
) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    import openvino

    _check_is_network(model)
    with _quietly(), torch.inference_mode(False):
        sizes = {"images": _open_sizes(None)}
        program = torch.export.export(_exportable(model), (_example(model, None),), dynamic_shapes=sizes)
        graph = openvino.convert_model(program)
    hints = {
        "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": torch.get_num_threads(),
    }
    request = openvino.Core().compile_model(graph, "CPU", hints).create_infer_request()

    def compute(images: NDArray[np.float32]) -> NDArray[np.float32]:
        # A copy: the request writes its next answer into the same memory.
        return np.array(request.infer([images])[0], np.float32)

    return compute


def _exportable(model: Model) -> nn.Module:
    # Plain strides: what is exported must not remember the memory format of torch.
    return Probabilities(model).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload, no-any-return]


def _example(model: Model, tile_px: int | None) -> Tensor:
    side = tile_px or _EXAMPLE_PX
    # Two images: torch.export takes a size of 1 for fixed.
    return torch.zeros(2, len(model.record.bands), side, side)


def _open_sizes(tile_px: int | None) -> dict[int, Any]:
    free: Sequence[int] = (0, 2, 3) if tile_px is None else (0,)
    return dict.fromkeys(free, torch.export.Dim.DYNAMIC)


def _check_is_network(model: Model) -> None:
    if model.record.architecture.head == "forest":
        raise ModelFileError(
            "a random forest is no network and cannot be exported",
            expected="a model of the recipes pfce, quick or full",
            hint="Predict it with --backend torch.",
        )


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporters' notes on their own future from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
