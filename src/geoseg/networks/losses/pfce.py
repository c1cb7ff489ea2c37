"""Partial focal cross-entropy (pfCE): focal loss over the labelled pixels only.

    pfCE = sum_i w_i (1 - p_i)^gamma (-log p_i) / (sum_i w_i + eps),   p_i = softmax(logits_i)[t_i]

The focal factor follows Lin et al., "Focal loss for dense object detection" (ICCV 2017); the sum runs
over labelled pixels as in partial cross-entropy (Tang et al., CVPR 2018).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from geoseg.domain.legend import UNLABELLED
from geoseg.errors import SettingsError
from geoseg.networks.losses.point_sampling import read_at_points

EPSILON = 1e-12


@dataclass(frozen=True)
class PatchPoints:
    """P labelled points of a batch of patches; tensors of shape (P,).

    Attributes:
        index: Patch in the batch, int64.
        row: Row in the patch in pixels, fractional; 0 is the centre of the first row.
        col: Column in the patch.
        label: Class id, int64.
        weight: Point weight, float32.
    """

    index: Tensor
    row: Tensor
    col: Tensor
    label: Tensor
    weight: Tensor

    def to(self, device: torch.device) -> PatchPoints:
        """Return the same points on ``device``."""
        # Metal has no float64; float32 positions are exact to a ten-thousandth of a pixel.
        places = torch.float32 if device.type == "mps" else self.row.dtype
        return PatchPoints(
            index=self.index.to(device, non_blocking=True),
            row=self.row.to(device, places, non_blocking=True),
            col=self.col.to(device, places, non_blocking=True),
            label=self.label.to(device, non_blocking=True),
            weight=self.weight.to(device, non_blocking=True),
        )


def focal_sums(
    logits: Tensor,
    labels: Tensor,
    weights: Tensor | None = None,
    *,
    gamma: float = 2.0,
    class_weights: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return the numerator and the denominator of pfCE for P labelled pixels.

    Args:
        logits: (P, C), any floating dtype; computed in at least float32.
        labels: Class ids, int64 (P,), 0..C-1.
        weights: Weight of each point, (P,), >= 0; ones where None.
        gamma: Focusing parameter, >= 0; 0 gives cross-entropy.
        class_weights: Weight of each class, (C,), >= 0; ones where None.

    Returns:
        ``sum_i w_i (1 - p_i)^gamma (-log p_i)`` and ``sum_i w_i``, scalars.

    Raises:
        SettingsError: ``gamma`` is negative.
    """
    check_gamma(gamma)
    with torch.autocast(logits.device.type, enabled=False):
        exact = logits.to(torch.promote_types(logits.dtype, torch.float32))
        # Transpose first: a softmax over a short last axis is slow.
        log_p = functional.log_softmax(exact.T, dim=0).gather(0, labels[None])[0]
        weight = torch.ones_like(log_p) if weights is None else weights.to(log_p.dtype)
        if class_weights is not None:
            weight = weight * class_weights.to(log_p.dtype)[labels]
        losses = -log_p
        if gamma > 0:
            # The floor keeps the gradient finite where p rounds to 1 and gamma is below 1.
            losses = losses * (-torch.expm1(log_p)).clamp_min(torch.finfo(log_p.dtype).tiny) ** gamma
        return (weight * losses).sum(), weight.sum()


def check_gamma(gamma: float) -> None:
    """Check the focusing parameter.

    Raises:
        SettingsError: It is negative or not a number.
    """
    if not gamma >= 0:
        raise SettingsError("invalid value", where="gamma", expected="0 or more", got=gamma)


def pfce_dense(
    logits: Tensor,
    labels: Tensor,
    *,
    gamma: float = 2.0,
    ignore_index: int = UNLABELLED,
    class_weights: Tensor | None = None,
    pixel_weights: Tensor | None = None,
) -> Tensor:
    """Partial focal cross-entropy of full-size logits under a sparse label raster.

    Args:
        logits: (N, C, H, W).
        labels: Class ids (N, H, W), integer.
        gamma: Focusing parameter, >= 0.
        ignore_index: Label of unlabelled pixels; they get exactly zero gradient.
        class_weights: (C,), or None.
        pixel_weights: (N, H, W), or None.

    Returns:
        The loss, a scalar; 0 with zero gradient when nothing is labelled.

    Raises:
        SettingsError: ``gamma`` is negative.
    """
    labelled = labels != ignore_index
    weights = None if pixel_weights is None else pixel_weights[labelled]
    total, weight = focal_sums(
        logits.movedim(1, -1)[labelled],
        labels[labelled].long(),
        weights,
        gamma=gamma,
        class_weights=class_weights,
    )
    return total / (weight + EPSILON)


def pfce_at_points(
    logits: Tensor,
    points: PatchPoints,
    size: tuple[int, int],
    *,
    gamma: float = 2.0,
    class_weights: Tensor | None = None,
) -> Tensor:
    """Partial focal cross-entropy of low-resolution logits, read bilinearly at the points.

    The value and the gradient equal those of :func:`pfce_dense` with the logits upsampled to ``size``. The cost
    depends on the number of points, not of pixels.

    Args:
        logits: (N, C, h, w) at the resolution of the head.
        points: The labelled points of the batch.
        size: Height and width of the patches in pixels.
        gamma: Focusing parameter, >= 0.
        class_weights: (C,), or None.

    Returns:
        The loss, a scalar; 0 with zero gradient when there are no points.

    Raises:
        SettingsError: ``gamma`` is negative.

    Example:
        >>> import torch
        >>> logits = torch.zeros(1, 3, 8, 8)  # one patch of 32 x 32 px, 3 classes, 4 px per cell
        >>> one = torch.ones(1)
        >>> points = PatchPoints(one.long() - 1, row=5 * one, col=20 * one, label=one.long(), weight=one)
        >>> round(float(pfce_at_points(logits, points, (32, 32))), 4)  # (1 - 1/3)^2 * log 3
        0.4883
    """
    at_points = read_at_points(logits, index=points.index, row=points.row, col=points.col, size=size)
    total, weight = focal_sums(
        at_points, points.label, points.weight, gamma=gamma, class_weights=class_weights
    )
    return total / (weight + EPSILON)
