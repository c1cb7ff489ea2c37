"""Weak-to-strong consistency: a student on a strong view is trained to match a teacher on a weak view.

Mean teachers (Tarvainen & Valpola, NeurIPS 2017), weak and strong views (FixMatch, Sohn et al., NeurIPS 2020), and
one threshold per class (class-balanced self-training, Zou et al., ECCV 2018).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def consistency(logits: Tensor, teacher_probabilities: Tensor, counted: Tensor) -> Tensor:
    """Return the mean cross-entropy of a student under a teacher's probabilities.

    Args:
        logits: Logits of the student (N, C, H, W), calibrated like the teacher's probabilities.
        teacher_probabilities: The teacher's probabilities (N, C, H, W).
        counted: Pixels that count (N, H, W), bool.

    Returns:
        The loss in nats, a scalar; 0 with zero gradient if no pixel counts.
    """
    share = counted.to(logits.dtype)
    losses = -(teacher_probabilities * functional.log_softmax(logits, dim=1)).sum(dim=1)
    return (losses * share).sum() / share.sum().clamp_min(1)


def most_confident(teacher_probabilities: Tensor, valid: Tensor, fraction: float) -> Tensor:
    """Return a mask (N, H, W) of the pixels with the highest confidence of each class.

    A common threshold would drop rare and difficult classes. Each class keeps the same fraction of the pixels that
    the teacher assigns to it.

    Args:
        teacher_probabilities: The teacher's probabilities (N, C, H, W).
        valid: Pixels that may count (N, H, W), bool.
        fraction: Share of each class's pixels to keep, 0..1; 1 keeps all valid pixels.
    """
    if fraction >= 1:
        return valid
    confidence, label = teacher_probabilities.max(dim=1)
    kept = torch.zeros_like(valid)
    for class_id in range(teacher_probabilities.shape[1]):
        own = valid & (label == class_id)
        count = int(own.sum())
        if count:
            rank = count - max(1, round(fraction * count)) + 1
            least = confidence[own].kthvalue(rank).values
            kept |= own & (confidence >= least)
    return kept
