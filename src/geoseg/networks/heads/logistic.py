"""Linear probes: multinomial logistic regression on features read at labelled points."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits
from torch import Tensor

UNSEEN = 20.0
"""How far below the others the score of a class without points lies."""
_MOST_ITERATIONS = 300

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Probe:
    """A linear classifier of features: scores are ``features @ weight.T + bias``, of shape (C, F) and (C,)."""

    weight: Tensor
    bias: Tensor

    def scores(self, features: Tensor) -> Tensor:
        """Return scores (P, C) of features (P, F)."""
        return features @ self.weight.T + self.bias


@dataclass(frozen=True)
class Standardised:
    """Features (P, F) of mean 0 and deviation 1, as coordinates (P, K) in the space that they span.

    A ridge keeps a linear fit inside that space, so with fewer points than features the fit in
    coordinates is the same fit, and faster.

    Attributes:
        coordinates: (P, K) with K = min(P, F).
        mean: Of the features (F,).
        deviation: Of the features (F,); 1 where a feature does not vary.
        axes: The coordinates' directions (F, K), or None when they are the features themselves.
    """

    coordinates: Floats
    mean: Floats
    deviation: Floats
    axes: Floats | None

    def to_probe(self, weight: Floats, bias: Floats) -> Probe:
        """Return the probe of features for weights (C, K) and biases (C,) of coordinates."""
        slope = (weight if self.axes is None else weight @ self.axes.T) / self.deviation
        return Probe(torch.from_numpy(slope).float(), torch.from_numpy(bias - slope @ self.mean).float())


def standardise(features: Floats) -> Standardised:
    """Standardise features (P, F), in their own precision."""
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation = np.where(deviation == 0, 1, deviation).astype(features.dtype)
    standard = (features - mean) / deviation
    if len(standard) >= standard.shape[1]:
        return Standardised(standard, mean, deviation, None)
    axes, upper = np.linalg.qr(standard.T)
    return Standardised(upper.T, mean, deviation, axes)


def fit_probe(
    features: Floats, labels: NDArray[np.int64], weights: Floats, *, classes: int, inverse_ridge: float
) -> Probe:
    """Fit a multinomial logistic regression with a ridge on standardised features.

    Args:
        features: (P, F); the fit computes in their precision.
        labels: Class ids (P,), of two classes at least. Classes without a point get no weight and a low bias.
        weights: Point weights (P,).
        classes: C.
        inverse_ridge: What the sum of the points' losses counts against half the squared weights.
    """
    standard = standardise(features)
    with fitting():
        found = fit_linear(
            standard.coordinates, labels, weights, classes=classes, inverse_ridge=inverse_ridge
        )
    return standard.to_probe(*found)


@contextmanager
def fitting() -> Iterator[None]:
    """Prepare for :func:`fit_linear`, which several threads may then call side by side.

    Every product of matrices computes in the thread that asks for it: NumPy and SciPy each bring a BLAS whose threads wait
    for work by spinning, an optimiser goes from one to the other with every step, and threads of the two would keep each
    other from the cores. Fits that end before the last digits of the optimum, which do not matter, are not warned of;
    filters of warnings are of the process, not of a thread.
    """
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


Linear = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights (C, K) and biases (C,)."""


def fit_linear(
    values: Floats,
    labels: NDArray[np.int64],
    weights: Floats,
    *,
    classes: int,
    inverse_ridge: float,
    start: Linear | None = None,
) -> Linear:
    """Fit weights and biases as :func:`fit_probe` does, to values (P, K) as they are; call it within :func:`fitting`.

    ``start`` is a fit of the same classes with another ridge, from which the way is shorter.
    """
    model = LogisticRegression(C=inverse_ridge, max_iter=_MOST_ITERATIONS, tol=1e-3, warm_start=True)
    if start is not None:
        seen = np.unique(labels)
        model.coef_, model.intercept_ = start[0][seen], start[1][seen]
        if len(seen) == 2:
            model.coef_, model.intercept_ = np.diff(model.coef_, axis=0), np.diff(model.intercept_)
    model.fit(values, labels, weights)
    slope, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        slope, bias = np.concatenate([-slope, slope]) / 2, np.concatenate([-bias, bias]) / 2
    every_slope, every_bias = np.zeros((classes, slope.shape[1])), np.full(classes, -UNSEEN)
    every_slope[model.classes_], every_bias[model.classes_] = slope, bias
    return every_slope, every_bias
