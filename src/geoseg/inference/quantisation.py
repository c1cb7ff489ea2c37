"""Post-training int8 quantisation, calibrated on the user's own raster.

Static quantisation in ONNX's QDQ form (Jacob et al., "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", 2018), which ONNX Runtime writes and both it and OpenVINO compute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Predictor

Ranges = tuple[tuple[str, float, float], ...]
"""Name, minimum and maximum of each quantised activation."""

WindowPixels = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Raw pixels of a window (B, h, w) and their validity (h, w)."""

_OPERATORS = ["Conv", "Relu", "MaxPool"]


def quantiser_versions() -> str:
    """Return the versions of the packages that quantise; equal versions give equal networks."""
    import onnx
    import onnxruntime

    return f"onnx {onnx.__version__}, onnxruntime {onnxruntime.__version__}"


def measure_ranges(network: bytes, images: Iterable[NDArray[np.float32]]) -> Ranges:
    """Measure the ranges of a network's activations.

    Args:
        network: The model as ONNX.
        images: Normalised calibration images (1, B, h, w), at least one.
    """
    from onnxruntime.quantization import MinMaxCalibrater

    with TemporaryDirectory() as folder:
        path = Path(folder) / "network.onnx"
        path.write_bytes(network)
        observer = MinMaxCalibrater(path, _OPERATORS, str(Path(folder) / "observed.onnx"))
        observer.augment_graph()
        observer.create_inference_session()
        observer.collect_data(_CalibrationReader(iter(images)))
        found = observer.compute_data()
    ends = {name: [float(np.asarray(end).item()) for end in data.range_value] for name, data in found.items()}
    return tuple((name, low, high) for name, (low, high) in sorted(ends.items()))


def quantise(network: bytes, ranges: Ranges) -> bytes:
    """Return an ONNX network in int8; the same arguments give the same bytes.

    Weights have one scale per channel and use 7 bits. With 8 bits the sums would overflow on processors without
    int8 instructions (VNNI), and the map would depend on the processor. The last convolutions and the layers after
    them choose the class and stay float32. Convolutions on shortcuts also stay float32: they are few, and their
    signed outputs would lose half of the steps before the ReLU that follows the sum.

    Args:
        network: The network in float32, as ONNX.
        ranges: Ranges of the activations, from :func:`measure_ranges`.
    """
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QDQQuantizer, QuantType
    from onnxruntime.quantization.calibrate import TensorsData

    graph = onnx.load_from_string(network)
    values = {name: (np.float32(low), np.float32(high)) for name, low, high in ranges}
    quantiser = QDQQuantizer(
        graph,
        per_channel=True,
        reduce_range=True,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QUInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, values),
        nodes_to_quantize=[],
        nodes_to_exclude=_last_convolutions(graph.graph) + _shortcut_convolutions(graph.graph),
        op_types_to_quantize=_OPERATORS,
        extra_options={},
    )
    quantiser.quantize_model()
    return bytes(quantiser.model.model.SerializeToString(deterministic=True))


def class_agreement(exact: Predictor, found: Predictor, windows: Iterable[WindowPixels]) -> float:
    """Return the share of valid pixels for which two predictors give the same class."""
    same = total = 0
    for pixels, valid in windows:
        classes = [
            p.probabilities(pixels[None], valid[None])[0].argmax(axis=0)[valid] for p in (exact, found)
        ]
        same, total = same + int((classes[0] == classes[1]).sum()), total + classes[0].size
    return same / total


def _last_convolutions(graph: Any) -> list[str]:
    """Return the names of the convolutions that no other convolution follows: they give the class scores."""
    followed, last = set[str](), list[str]()
    for node in reversed(graph.node):
        is_followed = not followed.isdisjoint(node.output)
        if node.op_type == "Conv" and not is_followed:
            last.append(node.name)
        if node.op_type == "Conv" or is_followed:
            followed.update(node.input)
    return last


def _shortcut_convolutions(graph: Any) -> list[str]:
    """Return the names of the convolutions on shortcuts, whose output is added to another path from the same input."""
    taken = Counter(name for node in graph.node for name in node.input)
    added = {name for node in graph.node if node.op_type == "Add" for name in node.input}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return [node.name for node in convolutions if taken[node.input[0]] > 1 and node.output[0] in added]


class _CalibrationReader:
    """Calibration images in the form that ONNX Runtime reads (``CalibrationDataReader``)."""

    def __init__(self, images: Iterator[NDArray[np.float32]]) -> None:
        self._images = images

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        image = next(self._images, None)
        return None if image is None else {"images": image}
