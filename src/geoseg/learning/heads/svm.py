"""Linear support vector machines, one class against the rest.

Their margins are no logarithms of odds; the temperature of the calibration, measured at held-out points, makes
probabilities of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from geoseg.learning.heads.head import Candidate
from geoseg.learning.heads.logistic import (
    ABSENT_CLASS_MARGIN,
    Probe,
    single_threaded_blas,
    standardise,
)
from geoseg.learning.validation import Sample

COSTS = (1e-3, 1e-2, 1e-1, 1.0)
_MAX_ITERATIONS = 5_000


def svm_candidates(classes: int, seed: int) -> Sequence[Candidate]:
    """Return linear support vector machines with several costs of a violated margin."""
    return [
        Candidate("svm", f"cost = {cost:g}", partial(fit_svm, classes=classes, cost=cost, seed=seed))
        for cost in COSTS
    ]


def fit_svm(sample: Sample, *, classes: int, cost: float, seed: int) -> Probe:
    """Fit a linear support vector machine with squared hinge loss to standardised features.

    Args:
        sample: Points of at least two classes. Classes without a point get weight 0 and a low bias.
        classes: C.
        cost: Factor of the summed loss relative to half the squared weights (``C`` in scikit-learn).
        seed: Seed of the solver.
    """
    from sklearn.svm import LinearSVC

    standard = standardise(sample.values.astype(np.float64))
    model = LinearSVC(C=cost, max_iter=_MAX_ITERATIONS, random_state=seed)
    with single_threaded_blas():
        model.fit(standard.coordinates, sample.labels, sample.weights)
    slope, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        slope, bias = np.concatenate([-slope, slope]), np.concatenate([-bias, bias])
    every_slope, every_bias = np.zeros((classes, slope.shape[1])), np.full(classes, -ABSENT_CLASS_MARGIN)
    every_slope[model.classes_], every_bias[model.classes_] = slope, bias
    return standard.to_probe(every_slope, every_bias)
