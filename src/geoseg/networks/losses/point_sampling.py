"""Bilinear sampling of feature maps at points."""

from __future__ import annotations

import torch
from torch import Tensor


def read_at_points(
    features: Tensor, *, index: Tensor, row: Tensor, col: Tensor, size: tuple[int, int]
) -> Tensor:
    """Sample feature maps bilinearly at fractional pixel positions of their patches.

    The result equals bilinear upsampling of the maps to the patch size (``align_corners=False``), read at the points.
    It also equals ``grid_sample(align_corners=False, padding_mode="border")``. Only the four neighbours of each point
    are read.

    Args:
        features: Maps (N, C, h, w) of any floating dtype and memory format.
        index: Patch of each point, int64 (P,), 0..N-1.
        row: Row in the patch, (P,), pixels; 0 is the centre of the first row.
        col: Column in the patch, (P,).
        size: Height and width of the patches in pixels.

    Returns:
        Values (P, C) in float32, or float64 where the features are float64.
    """
    height, width = features.shape[-2:]
    top, bottom, down = _neighbours(row, size[0], height)
    left, right, across = _neighbours(col, size[1], width)
    # Convert before reading, so that gradients of points in the same cell also add up in float32.
    exact = features.to(torch.promote_types(features.dtype, torch.float32))
    cells = exact.permute(0, 2, 3, 1).reshape(-1, exact.shape[1])
    corners = [(index * height + rows) * width + cols for rows in (top, bottom) for cols in (left, right)]
    values = cells.index_select(0, torch.cat(corners)).view(4, len(index), cells.shape[1])
    shares = torch.stack(
        [down_share * share for down_share in (1 - down, down) for share in (1 - across, across)]
    )
    return (values * shares.to(exact.dtype)[..., None]).sum(dim=0)


def _neighbours(position: Tensor, size: int, cells: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cells before and after each position along one axis, and the weight of the second."""
    # Metal has no float64.
    exact = position.to(torch.float32 if position.device.type == "mps" else torch.float64)
    place = ((exact + 0.5) * (cells / size) - 0.5).clamp(0, cells - 1)
    before = place.floor()
    after = (before + 1).clamp(max=cells - 1)
    return before.long(), after.long(), place - before
