"""Batches of patches as torch tensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from geoseg.learning.features.patches import Batch, BatchPoints
from geoseg.networks.losses.pfce import PatchPoints


@dataclass(frozen=True)
class TensorBatch:
    """N patches: raw pixels (N, B, p, p), validity (N, p, p), their points and image names."""

    pixels: Tensor
    valid: Tensor
    points: PatchPoints
    images: tuple[str, ...]


def to_tensors(batch: Batch) -> TensorBatch:
    """Convert a batch of arrays to tensors on the CPU."""
    pixels, valid = (torch.from_numpy(np.ascontiguousarray(values)) for values in (batch.pixels, batch.valid))
    return TensorBatch(pixels, valid, points_to_tensors(batch.points), batch.images)


def points_to_tensors(points: BatchPoints) -> PatchPoints:
    """Convert the points of a batch to tensors on the CPU."""
    return PatchPoints(**{name: torch.from_numpy(values.copy()) for name, values in vars(points).items()})
