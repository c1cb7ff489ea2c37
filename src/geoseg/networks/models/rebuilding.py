"""Rebuild the torch network of a model file."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from geoseg.learning.architecture import Architecture
from geoseg.learning.model_file import Tensors
from geoseg.networks.models.hypercolumns import build_layer_network


def rebuild_network(architecture: Architecture, tensors: Tensors) -> nn.Module:
    """Build the network of an architecture from its parameters, in evaluation mode; they are copied.

    Raises:
        RuntimeError: The tensors do not fit the architecture.
        ValueError: The architecture is a forest, which is no network.
    """
    if architecture.head == "forest":
        raise ValueError("a forest is no network")
    # On the meta device, so that no random weights are allocated and then replaced.
    with torch.device("meta"):
        network = _build(architecture)
    wanted = {name: tensor.dtype for name, tensor in network.state_dict().items()}
    own = {name: torch.from_numpy(np.array(values)) for name, values in tensors.items()}
    cast = {name: tensor.to(wanted.get(name, tensor.dtype)) for name, tensor in own.items() if name in wanted}
    network.load_state_dict(cast, assign=True)
    return network.eval()


def _build(architecture: Architecture) -> nn.Module:
    if architecture.head == "linear":
        return build_layer_network(architecture)
    from geoseg.networks.models.deeplab import build_network  # torchvision takes seconds to import

    return build_network(architecture)
