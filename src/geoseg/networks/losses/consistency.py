"""Weak-to-strong consistency: a student shown a strong view agrees with what a teacher made of a weak one.

Mean teachers (Tarvainen & Valpola, NeurIPS 2017), weak and strong views (FixMatch, Sohn et al., NeurIPS 2020), and
thresholds of each class's own (class-balanced self-training, Zou et al., ECCV 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def consistency(logits: Tensor, taught: Tensor, counted: Tensor) -> Tensor:
    """Return the mean cross-entropy of a student under a teacher's probabilities.

    Args:
        logits: The student's (N, C, H, W), of the calibration that the teacher's probabilities have.
        taught: The teacher's probabilities (N, C, H, W).
        counted: Which pixels count (N, H, W), bool.

    Returns:
        The loss in nats, a scalar; 0 with zero gradient where no pixel counts.
    """
    share = counted.to(logits.dtype)
    losses = -(taught * functional.log_softmax(logits, dim=1)).sum(dim=1)
    return (losses * share).sum() / share.sum().clamp_min(1)


def surest(taught: Tensor, valid: Tensor, portion: float) -> Tensor:
    """Return which pixels are among the surest of their class (N, H, W).

    A common threshold silences the rare and difficult classes; each class keeps the same portion of the pixels that
    the teacher gives it.

    Args:
        taught: The teacher's probabilities (N, C, H, W).
        valid: Pixels that may count (N, H, W), bool.
        portion: Share of the pixels of each class that are kept, 0..1; 1 keeps all that are valid.
    """
    if portion >= 1:
        return valid
    confidence, label = taught.max(dim=1)
    kept = torch.zeros_like(valid)
    for class_id in range(taught.shape[1]):
        own = valid & (label == class_id)
        count = int(own.sum())
        if count:
            rank = count - max(1, round(portion * count)) + 1
            least = confidence[own].kthvalue(rank).values
            kept |= own & (confidence >= least)
    return kept
