"""Rasters in memory and networks small enough to train in a test."""

import copy
from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from geoseg.domain.windows import Window
from geoseg.networks.models.deeplab import Architecture, DeepLabV3, build_network


@dataclass(frozen=True)
class ArraySource:
    """A PixelSource over pixels (B, H, W), valid where ``mask`` (H, W) says so, or everywhere."""

    pixels: np.ndarray
    mask: np.ndarray | None = None

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
        there = np.s_[part.row : part.row + part.height, part.col : part.col + part.width]
        valid[box] = True if self.mask is None else self.mask[there]
        out[:, *box] = self.pixels[:, *there]
        return out, valid


@pytest.fixture
def source():
    return ArraySource


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


class _TinyBackbone(nn.Module):
    def __init__(self, bands):
        super().__init__()
        self.conv = nn.Conv2d(bands, 8, 4, stride=4)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images):
        return {"out": self.norm(self.conv(images)).relu()}


@pytest.fixture
def tiny_network():
    """A fresh network of two convolutions on cells of 4 px, with batch norm and dropout, for fits in no time."""

    def build(bands=3, classes=2):
        torch.manual_seed(0)
        return DeepLabV3(_TinyBackbone(bands), nn.Sequential(nn.Dropout(0.1), nn.Conv2d(8, classes, 1)))

    return build
