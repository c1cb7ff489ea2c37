"""A network in the words of other runtimes: as ONNX, or as a graph of OpenVINO."""

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
    """A network with all that follows it: from normalised images to probabilities at full resolution."""

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
    return _without_traces(cast(Any, program).model_proto)


def to_openvino(model: Model) -> Any:
    """Return the model as a graph of OpenVINO, which must be installed; sizes and number of images are open.

    The network is traced on an example: torch.export reasons about every size that an image may have, which takes
    many minutes where the padding depends on it.

    Raises:
        ModelFileError: The model is a forest.
    """
    import openvino

    _check_is_network(model)
    with _quietly(), torch.inference_mode(False), torch.no_grad():
        return openvino.convert_model(_exportable(model), example_input=_example(model, None))


def _exportable(model: Model) -> nn.Module:
    # Plain strides: what is exported must not remember the memory format of torch.
    return Probabilities(model).to("cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload, no-any-return]


def _example(model: Model, tile_px: int | None) -> Tensor:
    side = tile_px or _EXAMPLE_PX
    # Two images: torch.export takes a size of 1 for fixed.
    return torch.zeros(2, model.record.architecture.bands, side, side)


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


def _without_traces(network: Any) -> bytes:
    """Return an ONNX network without what tells where the exporter ran, so that it is the same wherever that is."""
    for part in (*network.graph.node, *network.graph.value_info, *network.graph.initializer):
        part.ClearField("metadata_props")
    return bytes(network.SerializeToString(deterministic=True))


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep the exporters' notes on their own future from the user."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
