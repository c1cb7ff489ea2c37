"""Region growing: labels spread from the points over neighbouring pixels that look the same to a teacher.

Xu & Ghamisi, "Consistency-regularized region-growing network for semantic segmentation of urban scenes with
point-level annotations" (IEEE TIP 2022).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.domain.legend import UNLABELLED
from geoseg.networks.losses.pfce import PatchPoints


def grow(points: PatchPoints, taught: Tensor, valid: Tensor, *, least: float, reach: int) -> Tensor:
    """Grow labels from the points.

    A pixel joins the region of a class if one of its eight neighbours is in it and the teacher is sure of the
    class there. A point always holds its own pixel; of points that share one, the last counts.

    Args:
        points: The labelled points.
        taught: The teacher's probabilities (N, C, H, W).
        valid: Pixels that may join (N, H, W), bool.
        least: Least probability of the class at a pixel that joins, 0.5..1, so that no pixel can join two classes.
        reach: Steps of one pixel.

    Returns:
        Class ids (N, H, W), int64; 255 where no region is.
    """
    count, classes, height, width = taught.shape
    row = (points.row + 0.5).floor().long().clamp(0, height - 1)
    col = (points.col + 0.5).floor().long().clamp(0, width - 1)
    own = torch.full((count, height, width), UNLABELLED, dtype=torch.int64, device=taught.device)
    counted = points.weight > 0
    own[points.index[counted], row[counted], col[counted]] = points.label[counted]
    # Pixels of another class's points join nobody.
    joins = ((taught > least) & valid[:, None] & (own == UNLABELLED)[:, None]).to(taught.dtype)
    seeds = torch.stack([(own == c).to(taught.dtype) for c in range(classes)], dim=1)
    region = seeds
    for _ in range(reach):
        region = torch.maximum(seeds, joins * functional.max_pool2d(region, 3, 1, 1))
    found, label = region.max(dim=1)
    return torch.where(found > 0, label, UNLABELLED)
