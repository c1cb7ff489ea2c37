"""Labels that contradict the prediction from the features of their point, by a cross-validation over blocks.

Northcutt, Jiang and Chuang, "Confident learning: estimating uncertainty in dataset labels", JAIR 70 (2021), compare the
label of a point with its held-out probabilities. They call a label wrong where another class is more probable than it
is on average at the points of that class. The odds of the other class against the label rank the points better: at the
same number of false alarms they find more wrong labels (benchmarks/suspicious_labels.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax

from geoseg.learning.calibration import HeldOut, fit_temperature
from geoseg.learning.validation import FitAndScore, Sample, predict_held_out, spatial_folds

SUSPICIOUS_ODDS = 10.0
"""A label is suspicious if another class is at least this many times more probable."""


@dataclass(frozen=True)
class CheckedLabels:
    """Labels of P points, compared with the predictions of models fitted without their blocks.

    Attributes:
        is_checked: Whether a point was held out (P,). A class in a single block never is.
        other: The most probable class id besides the label (P,); -1 where it was not checked.
        odds: How many times more probable that class is than the label (P,); NaN where it was not checked.
        limit: Odds from which a label is suspicious.
    """

    is_checked: NDArray[np.bool_]
    other: NDArray[np.int64]
    odds: NDArray[np.float64]
    limit: float

    @property
    def is_suspicious(self) -> NDArray[np.bool_]:
        """Whether the label of each point is suspicious (P,)."""
        found: NDArray[np.bool_] = self.is_checked & (np.nan_to_num(self.odds) >= self.limit)
        return found


def check_labels(
    sample: Sample, fit_and_score: FitAndScore, *, seed: int = 0, limit: float = SUSPICIOUS_ODDS
) -> CheckedLabels:
    """Compare the label of each point with its prediction by a model of the points in other blocks.

    Args:
        sample: Features of the points in one view, with their block numbers.
        fit_and_score: The classifier, such as :func:`geoseg.learning.heads.forest.forest_scores` or
            :func:`geoseg.learning.heads.logistic.linear_scores` give it.
        seed: Seed of the folds.
        limit: Odds from which a label is suspicious.
    """
    count = len(sample.labels)
    is_checked, other = np.zeros(count, np.bool_), np.full(count, -1, np.int64)
    odds = np.full(count, np.nan)
    folds = spatial_folds(sample.labels, sample.places, seed=seed)
    if folds is None:
        return CheckedLabels(is_checked, other, odds, limit)
    held_out = predict_held_out(sample, folds, fit_and_score)
    at = np.concatenate([left for _, left in folds])
    is_checked[at] = True
    other[at], odds[at] = _strongest_other(held_out)
    return CheckedLabels(is_checked, other, odds, limit)


def _strongest_other(held_out: HeldOut) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the most probable other class of each point, and its odds against the label."""
    weighted = held_out.with_positive_weight()
    temperature = fit_temperature(weighted) if len(weighted.labels) else 1.0
    logs = log_softmax(held_out.logits.astype(np.float64) / temperature, axis=1)
    rows = np.arange(len(logs))
    own = logs[rows, held_out.labels]
    logs[rows, held_out.labels] = -np.inf
    other = logs.argmax(axis=1)
    return other.astype(np.int64), np.exp(logs[rows, other] - own)
