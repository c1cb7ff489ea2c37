"""Rasters in memory and a network small enough to train in a test."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch

from geoseg.domain.windows import Window
from geoseg.learning.models import Architecture, build_network


@dataclass(frozen=True)
class ArraySource:
    """A PixelSource over pixels (B, H, W)."""

    pixels: np.ndarray

    @property
    def height(self) -> int:
        return self.pixels.shape[1]

    @property
    def width(self) -> int:
        return self.pixels.shape[2]

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        out = np.zeros((len(self.pixels), window.height, window.width), np.float32)
        valid = np.zeros((window.height, window.width), bool)
        part = window.clipped(self.height, self.width)
        row, col = part.row - window.row, part.col - window.col
        box = np.s_[row : row + part.height, col : col + part.width]
        valid[box] = True
        out[:, *box] = self.pixels[:, part.row : part.row + part.height, part.col : part.col + part.width]
        return out, valid


@pytest.fixture
def source():
    return ArraySource


@pytest.fixture
def network():
    """A fresh MobileNetV3 for 64-px patches; the same weights in every test."""

    def build(bands=3, classes=2):
        torch.manual_seed(0)
        return build_network(Architecture("mobilenet_v3_large", bands, classes, 64, 16))

    return build
