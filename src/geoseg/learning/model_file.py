"""The model file: an inference graph, its tensors and everything needed to use them, in one safetensors file.

The tensors are the network's parameters by name, and ``graph``: an ONNX graph from normalised images to logits, without
the tensors that the file holds anyway. The file's metadata holds ``geoseg_format`` and a JSON record. Reading it runs
no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

from geoseg.inference.graphs.assembly import add_calibration, join_tensors, split_tensors, tensors_of
from geoseg.inference.runtimes import try_out
from geoseg.learning.model_record import FORMAT as FORMAT
from geoseg.learning.model_record import ModelRecord as ModelRecord
from geoseg.learning.model_record import checked_record, damaged_file_error, model_file_errors, read_metadata
from geoseg.learning.model_record import read_record as read_record

GRAPH = "graph"
"""Name of the tensor that holds the inference graph."""
Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class InferenceGraph:
    """A trained network, without its record.

    Attributes:
        graph: ONNX model from normalised images (N, B, H, W) to logits (N, C, H, W). It may lack tensors.
        tensors: The parameters of the network by name.
    """

    graph: bytes
    tensors: Tensors

    def to_onnx(self, temperature: float = 1.0, shift: tuple[float, ...] | None = None) -> bytes:
        """Return a complete ONNX model from normalised images to calibrated probabilities (N, C, H, W).

        Raises:
            ValueError: The graph is damaged, or could read files or run without end.
        """
        return add_calibration(join_tensors(self.graph, self.tensors), temperature, shift)


def inference_graph(graph: bytes, tensors: Tensors | None = None) -> InferenceGraph:
    """Return an inference graph that stores each tensor once.

    Args:
        graph: A complete ONNX model.
        tensors: The parameters of the network; None takes those of the graph.
    """
    known = tensors_of(graph) if tensors is None else tensors
    return InferenceGraph(split_tensors(graph, known), known)


@dataclass(frozen=True)
class Model:
    """A trained network with its record and the SHA-256 of its file ("" before it is saved)."""

    network: InferenceGraph
    record: ModelRecord
    sha256: str = ""

    @cached_property
    def onnx(self) -> bytes:
        """Complete ONNX model from normalised images to calibrated probabilities (N, C, H, W)."""
        calibration = self.record.calibration
        return self.network.to_onnx(calibration.temperature, calibration.shift)


def pack_model(network: InferenceGraph, record: ModelRecord) -> bytes:
    """Return the model file as bytes."""
    content = {**asdict(record), "legend": record.legend.to_records()}
    metadata = {"geoseg_format": str(FORMAT), "geoseg_record": json.dumps(content, allow_nan=False)}
    tensors = {name: np.ascontiguousarray(values) for name, values in network.tensors.items()}
    return save({**tensors, GRAPH: np.frombuffer(network.graph, np.uint8)}, metadata)


def read_model(path: Path) -> Model:
    """Read a model file.

    Raises:
        ModelFileError: The file is missing, damaged, not a model file, or from another version.
    """
    with model_file_errors(path):
        # Read instead of memory-mapped: replacing a mapped file would crash the process that has it open.
        content = path.read_bytes()
        record = checked_record(path, read_metadata(BytesIO(content)))
        tensors = load(content)
    try:
        graph = tensors.pop(GRAPH).tobytes()
        model = Model(InferenceGraph(graph, tensors), record, hashlib.sha256(content).hexdigest())
        _check(model)
    except (KeyError, TypeError, ValueError) as error:
        raise damaged_file_error(path, "a network that does not fit its record") from error
    return model


def _check(model: Model) -> None:
    """Check that the graph takes the channels and gives the classes of the record.

    Raises:
        ValueError: It does not.
    """
    if try_out(model.onnx, model.record.architecture.bands) != len(model.record.legend):
        raise ValueError("the network gives other classes")
