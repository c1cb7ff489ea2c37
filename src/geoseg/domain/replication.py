"""Variation of scores over repeated draws of the points, and over the images scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import Accuracy, accuracy

Confusions = Mapping[str, NDArray[np.int64]]
"""Confusion matrices (C, C + 1) by image name, truth in rows."""


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation of a score over R repetitions; the deviation is NaN for one repetition."""

    mean: float
    deviation: float


def spread(scores: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation."""
    values = np.asarray(scores, np.float64)
    return Spread(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else float("nan"))


def total(confusions: Confusions) -> Accuracy:
    """Return the scores of the summed confusion matrix of all images."""
    return accuracy(np.sum(list(confusions.values()), axis=0))


def miou_without(scores: Accuracy, class_id: int | None) -> float:
    """Return the mean IoU over all present classes except one; NaN if there is no other."""
    iou = np.delete(scores.iou, [] if class_id is None else class_id)
    known = iou[~np.isnan(iou)]
    return float(known.mean()) if len(known) else float("nan")


def bootstrap_interval(
    repetitions: Sequence[Confusions], *, draws: int = 2000, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Return a bootstrap percentile interval of the mean IoU over images (Efron, 1979).

    It measures how much the score depends on the images scored, if these are independent places. In each draw all
    repetitions use the same images, and their scores are averaged. The interval is NaN for a single image.

    Args:
        repetitions: Confusion matrices by image, of the same images in each.
        draws: Number of bootstrap draws.
        level: Confidence level, 0..1.
        seed: Seed of the draws.
    """
    names = sorted(repetitions[0])
    if len(names) < 2:
        return float("nan"), float("nan")
    stacks = [np.stack([r[n] for n in names]) for r in repetitions]
    rng = np.random.default_rng(seed)
    scores = []
    for _ in range(draws):
        times = np.bincount(rng.integers(len(names), size=len(names)), minlength=len(names))
        scores.append(np.mean([accuracy(np.tensordot(times, s, axes=1)).miou for s in stacks]))
    low, high = np.nanquantile(scores, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
