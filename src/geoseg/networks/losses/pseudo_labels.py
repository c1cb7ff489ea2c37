"""Region growing: pseudo-labels spread from the points to neighbouring pixels if a teacher is confident.

Xu & Ghamisi, "Consistency-regularized region-growing network for semantic segmentation of urban scenes with
point-level annotations" (IEEE TIP 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.domain.legend import UNLABELLED
from geoseg.networks.losses.pfce import PatchPoints


def grow_regions(
    points: PatchPoints, teacher_probabilities: Tensor, valid: Tensor, *, min_probability: float, steps: int
) -> Tensor:
    """Grow labels from the points.

    A pixel joins a region if one of its eight neighbours is in it and the teacher is confident of its class there.
    The pixel of a point always has the class of the point; if points share a pixel, the last one
    wins.

    Args:
        points: The labelled points.
        teacher_probabilities: The teacher's probabilities (N, C, H, W).
        valid: Pixels that may join (N, H, W), bool.
        min_probability: Minimum probability of the class at a pixel that joins; 0.5..1, so no pixel can join two
            classes.
        steps: Number of growing steps of one pixel.

    Returns:
        Class ids (N, H, W), int64; 255 outside the regions.
    """
    count, classes, height, width = teacher_probabilities.shape
    row = (points.row + 0.5).floor().long().clamp(0, height - 1)
    col = (points.col + 0.5).floor().long().clamp(0, width - 1)
    own = torch.full(
        (count, height, width), UNLABELLED, dtype=torch.int64, device=teacher_probabilities.device
    )
    counted = points.weight > 0
    own[points.index[counted], row[counted], col[counted]] = points.label[counted]
    # The pixel of a point never joins another class.
    joins = ((teacher_probabilities > min_probability) & valid[:, None] & (own == UNLABELLED)[:, None]).to(
        teacher_probabilities.dtype
    )
    seeds = torch.stack([(own == c).to(teacher_probabilities.dtype) for c in range(classes)], dim=1)
    region = seeds
    for _ in range(steps):
        region = torch.maximum(seeds, joins * functional.max_pool2d(region, 3, 1, 1))
    found, label = region.max(dim=1)
    return torch.where(found > 0, label, UNLABELLED)
