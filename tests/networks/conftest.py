"""Networks small enough to train in a test."""

import copy
from functools import cache

import pytest
import torch

from geoseg.networks.models.deeplab import Architecture, build_network


@pytest.fixture
def network():
    """A fresh MobileNetV3 for 64-px patches; the same weights in every test."""

    def build(bands=3, classes=2):
        built = copy.deepcopy(_mobilenet(bands, classes))
        torch.manual_seed(0)
        return built

    return build


@cache
def _mobilenet(bands, classes):
    torch.manual_seed(0)
    return build_network(Architecture("mobilenet_v3_large", bands, classes, 64, 16))
