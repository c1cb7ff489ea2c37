"""The context is measured on what the network does."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.domain.points import make_points
from geoseg.learning.features.context import measure_context
from geoseg.learning.features.reading import FitData
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.prediction.module_predictor import ModulePredictor


@dataclass(frozen=True)
class Noise:
    """A raster of noise, valid everywhere, however far it is read."""

    height: int = 600
    width: int = 600

    def read(self, window):
        rng = np.random.default_rng(abs(window.row))
        return rng.normal(size=(1, window.height, window.width)).astype(np.float32), np.ones(
            (window.height, window.width), bool
        )


class Blur(nn.Module):
    """Logits that are a mean over a square of ``reach`` pixels on every side."""

    def __init__(self, reach: int) -> None:
        super().__init__()
        side = 2 * reach + 1
        down, across = nn.AvgPool2d((side, 1), 1, (reach, 0)), nn.AvgPool2d((1, side), 1, (0, reach))
        self.pool, self.gain = nn.Sequential(down, across), 3 * side

    def forward(self, images):
        mean = self.gain * self.pool(images)
        return torch.cat([mean, -mean], dim=1)


def _context(network, patch_px=256):
    row = np.linspace(100, 500, 9)
    points = make_points("a", row, row, np.arange(9) % 2)
    data = FitData({"a": Noise()}, points, Normalisation((0.0,), (1.0,)), 2)
    return measure_context(ModulePredictor(network, 1), data, patch_px=patch_px)


@pytest.mark.parametrize(("reach", "context"), [(0, 32), (30, 32), (45, 64), (70, 96)])
def test_it_is_as_far_as_the_network_looks(reach, context) -> None:
    assert _context(Blur(reach)) == context


def test_half_a_patch_is_the_most() -> None:
    assert _context(Blur(200)) == 128
    assert _context(Blur(200), patch_px=64) == 32
