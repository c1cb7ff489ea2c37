"""Export of a network to ONNX or OpenVINO."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.errors import ModelFileError, SettingsError
from geoseg.networks.models.model_file import Model
from geoseg.networks.prediction.folding import fold_batch_norms

_EXAMPLE_PX = 128
_OPSET = 18


class Probabilities(nn.Module):
    """A network with upsampling, calibration and softmax: from normalised images to full-size probabilities."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self.network = fold_batch_norms(model.network)
        self._calibration = model.record.calibration

    def forward(self, images: Tensor) -> Tensor:
        """Return class probabilities (N, C, H, W) of normalised images (N, B, H, W), float32."""
        size = images.shape[-2:]
        logits = self.network(images).float()
        full = functional.interpolate(logits, size, mode="bilinear", align_corners=False)
        return self._calibration.apply(full).softmax(dim=1)


def export_onnx(model: Model, *, tile_px: int | None = None) -> bytes:
    """Return the model as ONNX: input ``images``, normalised (N, B, H, W); output ``probabilities`` (N, C, H, W).

    Args:
        model: The model.
        tile_px: Side of the images in pixels; None makes height and width dynamic. The batch size is always dynamic.

    Raises:
        ModelFileError: The model is a forest, which this export does not support.
        SettingsError: The packages that write ONNX are not installed.
    """
    _check_is_network(model)
    missing = [p for p in ("onnx", "onnxscript") if find_spec(p) is None]
    if missing:
        raise SettingsError(
            "the packages for the ONNX export are not installed",
            got=f"no {', '.join(missing)}",
            hint="pip install geoseg-pointai[onnx]",
        )
    with _suppress_warnings():
        program = torch.onnx.export(
            _exportable(model),
            (_example(model, tile_px),),
            dynamo=True,
            dynamic_shapes={"images": _dynamic_shapes(tile_px)},
            input_names=["images"],
            output_names=["probabilities"],
            opset_version=_OPSET,
            verbose=False,
        )
    return _strip_metadata(cast(Any, program).model_proto)


def to_openvino(model: Model) -> Any:
    """Return the model as an OpenVINO graph with dynamic sizes and batch size; OpenVINO must be installed.

    The network is traced on an example: torch.export analyses every possible image size, which takes many minutes if
    the padding depends on the size.

    Raises:
        ModelFileError: The model is a forest.
    """
    import openvino

    _check_is_network(model)
    with _suppress_warnings(), torch.inference_mode(False), torch.no_grad():
        return openvino.convert_model(_exportable(model), example_input=_example(model, None))


def _exportable(model: Model) -> nn.Module:
    # Contiguous strides: the exported graph must not depend on torch's memory format.
    return Probabilities(model).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload, no-any-return]


def _example(model: Model, tile_px: int | None) -> Tensor:
    side = tile_px or _EXAMPLE_PX
    # Two images, because torch.export treats a size of 1 as fixed.
    return torch.zeros(2, model.record.architecture.bands, side, side)


def _dynamic_shapes(tile_px: int | None) -> dict[int, Any]:
    free: Sequence[int] = (0, 2, 3) if tile_px is None else (0,)
    return dict.fromkeys(free, torch.export.Dim.DYNAMIC)


def _check_is_network(model: Model) -> None:
    if model.record.architecture.head == "forest":
        raise ModelFileError(
            "a random forest is no network and cannot be exported",
            expected="a model of the recipes pfce, quick or full",
            hint="Predict it with --backend torch.",
        )


def _strip_metadata(network: Any) -> bytes:
    """Remove metadata about the exporting machine, so that the bytes are the same everywhere."""
    for part in (*network.graph.node, *network.graph.value_info, *network.graph.initializer):
        part.ClearField("metadata_props")
    return bytes(network.SerializeToString(deterministic=True))


@contextmanager
def _suppress_warnings() -> Iterator[None]:
    """Hide the exporters' deprecation warnings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
