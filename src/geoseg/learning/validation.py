"""Cross-validation by place: points are judged by fits that saw no point of their block."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blocks import assign_folds
from geoseg.learning.calibration import HeldOut

FOLDS = 5

Labels = NDArray[np.int64]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Sample:
    """P points to fit to: values (P, K), class ids, weights, and the number of each one's place (P,)."""

    values: Floats
    labels: Labels
    weights: Floats
    places: Labels

    def take(self, chosen: Labels | slice) -> Sample:
        """Return the points chosen."""
        return Sample(*(column[chosen] for column in vars(self).values()))


Fold = tuple[Labels, Labels]
"""Positions to fit to and to leave out."""
Folds = Sequence[Fold]


def spatial_folds(labels: Labels, places: Labels, *, seed: int = 0) -> Folds | None:
    """Return up to five pairs of positions to fit to and to leave out, or None when there are too few points.

    Places stay whole. Classes that only one place has are never left out.

    Args:
        labels: Class ids (P,).
        places: Number of the place of each point (P,).
        seed: Seed of the folds.
    """
    fold = assign_folds(labels, places, folds=FOLDS, seed=seed)
    pairs = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(fold.max(initial=-1) + 1)]
    kept = [(fit, _of_classes(labels, left, fit)) for fit, left in pairs]
    usable = [(fit, left) for fit, left in kept if len(left) and len(np.unique(labels[fit])) > 1]
    return usable or None


def _of_classes(labels: Labels, left: Labels, fit: Labels) -> Labels:
    """Return those left out whose class is among those that are fitted to."""
    return left[np.isin(labels[left], labels[fit])]


FitAndScore = Callable[[int, Sample, Floats], Floats]


def predict_held_out(
    sample: Sample,
    folds: Folds,
    fit_and_score: FitAndScore,
    *,
    each: Callable[[Callable[[int, Fold], Floats], Iterable[int], Iterable[Fold]], Iterable[Floats]] = map,
) -> HeldOut:
    """Return the logits at the points of each fold from a fit to the other folds.

    Args:
        sample: The points.
        folds: Positions to fit to and to leave out.
        fit_and_score: From the number of a fold, points to fit to, and values (Q, K), to logits (Q, C).
        each: How the folds are gone through, as ``map`` does: one after the other, or side by side.
    """

    def one(number: int, fold: Fold) -> Floats:
        fitted, left = fold
        return fit_and_score(number, sample.take(fitted), sample.values[left])

    logits = list(each(one, range(len(folds)), folds))
    every = sample.take(np.concatenate([left for _, left in folds]))
    return HeldOut(np.concatenate(logits), every.labels, every.weights, every.places)
