"""Pairwise loss by colour: neighbouring pixels of similar colour should have the same class.

Obukhov et al., "Gated CRF loss for weakly supervised semantic image segmentation" (2019): the energy of a conditional
random field as a loss. Pairs lie within a small window; pairs with an invalid pixel are left out.
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
    """Return the mean Potts energy per valid pixel.

    Energy = 1/M sum_i sum_{j != i} k_ij (1 - p_i . p_j), over the M valid pixels i and the neighbours j of each in a
    square window. The kernel is k_ij = exp(-|place_i - place_j|^2 / 2 place^2 - |color_i - color_j|^2 / 2 color^2),
    and 0 if i or j is invalid.

    Args:
        probabilities: (N, C, H, W).
        images: Images that give the colours (N, B, H, W), in standard deviations.
        valid: (N, H, W), bool.
        reach: Half the side of the window in pixels.
        place: Scale of distances in pixels.
        color: Scale of differences of colour, in standard deviations.

    Returns:
        The energy, a scalar from 0 to the number of neighbours; 0 with zero gradient if no pixel has a valid
        neighbour.
    """
    exact, colors = probabilities.float(), images.float()
    seen = valid[:, None].to(exact.dtype)
    total = exact.new_zeros(())
    # Visit each pair once, in the half-window after the pixel; the factor 2 below accounts for the other half.
    for down in range(reach + 1):
        for across in range(-reach if down else 1, reach + 1):
            here, there = _shifted(down, across)
            apart = (colors[here] - colors[there]).square().sum(dim=1, keepdim=True) / (2 * color**2)
            near = (down**2 + across**2) / (2 * place**2)
            kernel = torch.exp(-apart - near) * seen[here] * seen[there]
            differ = 1 - (exact[here] * exact[there]).sum(dim=1, keepdim=True)
            total = total + (kernel * differ).sum()
    return 2 * total / seen.sum().clamp_min(1)


def _shifted(down: int, across: int) -> tuple[_Index, _Index]:
    """Return the index of all pixels that have a neighbour at this offset, and the index of the neighbours."""
    upper, lower = slice(None, -down or None), slice(down, None)
    if across >= 0:
        left, right = slice(None, -across or None), slice(across, None)
    else:
        left, right = slice(-across, None), slice(None, across)
    return (..., upper, left), (..., lower, right)
