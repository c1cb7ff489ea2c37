"""Spatial cross-validation: points are scored by models fitted without points of their block."""

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
    """Training samples of P points: values (P, K), class ids, weights and block numbers (P,)."""

    values: Floats
    labels: Labels
    weights: Floats
    places: Labels

    def take(self, chosen: Labels | slice) -> Sample:
        """Return the chosen points."""
        return Sample(*(column[chosen] for column in vars(self).values()))


Fold = tuple[Labels, Labels]
"""Positions of the training points and of the held-out points."""
Folds = Sequence[Fold]


def spatial_folds(labels: Labels, places: Labels, *, seed: int = 0) -> Folds | None:
    """Return up to five folds, or None if there are too few points.

    All points of a block are in the same fold. A class that lies in a single block is never held out.

    Args:
        labels: Class ids (P,).
        places: Block number of each point (P,).
        seed: Seed of the folds.
    """
    fold = assign_folds(labels, places, folds=FOLDS, seed=seed)
    pairs = [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(fold.max(initial=-1) + 1)]
    kept = [(fit, _of_classes(labels, left, fit)) for fit, left in pairs]
    usable = [(fit, left) for fit, left in kept if len(left) and len(np.unique(labels[fit])) > 1]
    return usable or None


def _of_classes(labels: Labels, left: Labels, fit: Labels) -> Labels:
    """Return the held-out positions whose class also has training points."""
    return left[np.isin(labels[left], labels[fit])]


FitAndScore = Callable[[int, Sample, Floats], Floats]


def predict_held_out(
    sample: Sample,
    folds: Folds,
    fit_and_score: FitAndScore,
    *,
    each: Callable[[Callable[[int, Fold], Floats], Iterable[int], Iterable[Fold]], Iterable[Floats]] = map,
) -> HeldOut:
    """Return the logits at the points of each fold, from a model fitted to the other folds.

    Args:
        sample: The points.
        folds: Positions of training and held-out points.
        fit_and_score: Function from the fold number, the training sample and values (Q, K) to logits (Q, C).
        each: ``map`` or a parallel equivalent, applied to the folds.
    """

    def one(number: int, fold: Fold) -> Floats:
        fitted, left = fold
        return fit_and_score(number, sample.take(fitted), sample.values[left])

    logits = list(each(one, range(len(folds)), folds))
    every = sample.take(np.concatenate([left for _, left in folds]))
    return HeldOut(np.concatenate(logits), every.labels, every.weights, every.places)
