"""The model file: weights and everything needed to use them, in one safetensors file.

The tensors are the network's state; the file's metadata holds ``geoseg_format`` and a JSON record.
Reading it runs no code.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from io import BytesIO
from pathlib import Path

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from geoseg.learning.architecture import Architecture
from geoseg.learning.model_record import FORMAT as FORMAT
from geoseg.learning.model_record import ModelRecord as ModelRecord
from geoseg.learning.model_record import checked_record, damaged_file_error, model_file_errors, read_metadata
from geoseg.learning.model_record import read_record as read_record
from geoseg.networks.heads.forest import ForestNetwork, trees_from_state
from geoseg.networks.models.hypercolumns import build_layer_network


@dataclass(frozen=True)
class Model:
    """A network with its record and the SHA-256 of its file ("" before it is saved)."""

    network: nn.Module
    record: ModelRecord
    sha256: str = ""


def pack_model(state: Mapping[str, Tensor], record: ModelRecord) -> bytes:
    """Return the model file as bytes."""
    content = {**asdict(record), "legend": record.legend.to_records()}
    metadata = {"geoseg_format": str(FORMAT), "geoseg_record": json.dumps(content, allow_nan=False)}
    return save({n: t.detach().cpu().contiguous() for n, t in state.items()}, metadata)


def read_model(path: Path, output_stride: int | None = None) -> Model:
    """Read a model file.

    Args:
        path: The file.
        output_stride: Output stride in pixels, if different from training: a ResNet trained at 16 can map at 8.

    Raises:
        ModelFileError: The file is missing, damaged, not a model file, or from a newer version.
        SettingsError: The model cannot map at this output stride.
    """
    with model_file_errors(path):
        # Read instead of memory-mapped: replacing a mapped file would crash the process that has it open.
        content = path.read_bytes()
        record = checked_record(path, read_metadata(BytesIO(content)))
        if output_stride is not None:
            record = replace(record, architecture=record.architecture.at_stride(output_stride))
        tensors = load(content)
    try:
        network = build_from_tensors(record.architecture, tensors)
    except (IndexError, RuntimeError, TypeError, ValueError) as error:
        raise damaged_file_error(path, "tensors that do not fit its record") from error
    return Model(network.eval(), record, hashlib.sha256(content).hexdigest())


def build_from_tensors(architecture: Architecture, tensors: Mapping[str, Tensor]) -> nn.Module:
    """Build the network of an architecture from its tensors.

    Raises:
        RuntimeError: The tensors do not fit the architecture.
        ValueError: The tensors do not form a forest of these classes.
    """
    if architecture.head == "forest":
        trees = trees_from_state(tensors)
        if trees.shares.shape[-1] != architecture.classes:
            raise ValueError("the forest has other classes")
        return ForestNetwork(trees, architecture.bands)
    # On the meta device, so that no random weights are allocated and then replaced.
    with torch.device("meta"):
        network = _build(architecture)
    wanted = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    cast = {name: tensor.to(wanted.get(name, tensor.dtype)) for name, tensor in tensors.items()}
    network.load_state_dict(cast, assign=True)
    return network


def _build(architecture: Architecture) -> nn.Module:
    if architecture.head == "linear":
        return build_layer_network(architecture)
    from geoseg.networks.models.deeplab import build_network  # torchvision takes seconds to import

    return build_network(architecture)
