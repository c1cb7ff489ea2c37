"""Fits in as many processes as torchrun started; arguments: a folder for the losses, and the patches an epoch.

Points have weights of their own and lie unevenly, so that the processes hold different sums of weights. Batch norms
are fixed, and nothing is drawn in the network: dropout and colours would be drawn anew in each process.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from lightning_fabric import Fabric
from torch import nn

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import Window
from geoseg.learning.features.reading import FitData
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.fitting.loop import FitPlan, InitialState, fit
from geoseg.networks.fitting.processes import launch_fabric
from geoseg.networks.models.deeplab import DeepLabV3


class Halves:
    """A raster of two halves of different brightness, valid everywhere."""

    height, width = 80, 96

    def read(self, window: Window) -> tuple[np.ndarray, np.ndarray]:
        """Return its pixels, whatever the window."""
        cols = np.arange(window.col, window.col + window.width)
        rows = np.arange(window.row, window.row + window.height)
        pixels = 60.0 + 100 * (cols >= 48) + 5 * np.sin(rows)[:, None]
        shape = (window.height, window.width)
        return np.broadcast_to(pixels, (3, *shape)).astype(np.float32), np.ones(shape, bool)


class Backbone(nn.Module):
    """One convolution on cells of 4 px, and a batch norm."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 8, 4, stride=4), nn.BatchNorm2d(8)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return its features."""
        return {"out": self.norm(self.conv(images)).relu()}


def losses(patches: int, fabric: Fabric | None = None) -> list[float]:
    """Fit, and return what each of four epochs lost."""
    torch.manual_seed(0)
    network = DeepLabV3(Backbone(), nn.Sequential(nn.Identity(), nn.Conv2d(8, 2, 1)))
    rng = np.random.default_rng(0)
    row, col = rng.integers(0, 80, 24), rng.integers(0, 96, 24)
    points = make_points("a", row, col, (col >= 48).astype(int))
    points = replace(points, weight=rng.uniform(0.1, 3, 24).astype(np.float32))
    data = FitData({"a": Halves()}, points, Normalisation((110.0,) * 3, (50.0,) * 3), 2)
    still = {"color": 0, "has_fixed_norms": True}
    plan = FitPlan(epochs=4, patches=patches, batch=4, patch_px=32, head_rate=3e-2, **still)
    start = InitialState(network, ([], list(network.parameters())))
    return [record.loss for record in fit(start, data, plan, progress=NullProgress(), fabric=fabric).history]


if __name__ == "__main__":
    together = launch_fabric("cpu", "float32")
    path = Path(sys.argv[1]) / f"{together.global_rank}.json"
    path.write_text(json.dumps(losses(int(sys.argv[2]), together)))
