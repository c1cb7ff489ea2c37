from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.networks.models.model_file import Model, read_record


@pytest.fixture
def small(model):
    """A model of two convolutions, which is exported in a second."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    return Model(network, read_record(model), "made here")
