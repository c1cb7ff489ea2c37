from __future__ import annotations

import pytest
import torch
from torch import nn

from geoseg.learning.model_file import Model, read_record
from geoseg.networks.prediction.exporting import to_inference_graph


@pytest.fixture
def small(model):
    """A model of two convolutions."""
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.ReLU(), nn.Conv2d(4, 3, 1)).eval()
    return Model(to_inference_graph(network, 3), read_record(model), "made here")
