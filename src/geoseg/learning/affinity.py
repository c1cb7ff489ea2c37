"""A pairwise term by colour: neighbours that look alike should be of one class.

Obukhov et al., "Gated CRF loss for weakly supervised semantic image segmentation" (2019): a conditional random field
inside the loss, whose pairs are those of a small window and are gated where there is no image.
"""

from __future__ import annotations

from types import EllipsisType

import torch
from torch import Tensor

_Index = tuple[EllipsisType, slice, slice]


def gated_crf(
    probabilities: Tensor,
    images: Tensor,
    valid: Tensor,
    *,
    reach: int = 5,
    place: float = 6.0,
    color: float = 0.25,
) -> Tensor:
    """Return the mean Potts energy of a map: how likely neighbours that look alike are of different classes.

    Energy = mean over pixels i of sum_j k_ij (1 - p_i . p_j) / sum_j k_ij, over the neighbours j of i in a square
    window, with k_ij = exp(-|place_i - place_j|^2 / 2 place^2 - |color_i - color_j|^2 / 2 color^2), 0 where one of
    the two is not valid.

    Args:
        probabilities: (N, C, H, W).
        images: What the colours are read from (N, B, H, W), in standard deviations.
        valid: (N, H, W), bool.
        reach: Half the side of the window in pixels.
        place: Scale of distances in pixels.
        color: Scale of differences of colour, in standard deviations.

    Returns:
        The energy, 0..1, a scalar; 0 with zero gradient where no pixel has a neighbour.
    """
    exact, colors = probabilities.float(), images.float()
    seen = valid[:, None].to(exact.dtype)
    total = weight = exact.new_zeros(())
    # Each pair once: the half of the window that comes after the pixel.
    for down in range(reach + 1):
        for across in range(-reach if down else 1, reach + 1):
            here, there = _shifted(down, across)
            apart = (colors[here] - colors[there]).square().sum(dim=1, keepdim=True) / (2 * color**2)
            near = (down**2 + across**2) / (2 * place**2)
            kernel = torch.exp(-apart - near) * seen[here] * seen[there]
            differ = 1 - (exact[here] * exact[there]).sum(dim=1, keepdim=True)
            total = total + (kernel * differ).sum()
            weight = weight + kernel.sum()
    return total / weight.clamp_min(torch.finfo(exact.dtype).tiny)


def _shifted(down: int, across: int) -> tuple[_Index, _Index]:
    """Return the index of all pixels that have a neighbour at this distance, and that of those neighbours."""
    upper, lower = slice(None, -down or None), slice(down, None)
    if across >= 0:
        left, right = slice(None, -across or None), slice(across, None)
    else:
        left, right = slice(-across, None), slice(None, across)
    return (..., upper, left), (..., lower, right)
