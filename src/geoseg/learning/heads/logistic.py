"""Linear probes: multinomial logistic regression on features read at labelled points."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from threadpoolctl import threadpool_limits

from geoseg.inference.graphs.bands import linear_band_graph
from geoseg.learning.validation import FitAndScore, Sample

ABSENT_CLASS_MARGIN = 20.0
"""The score of a class without points is this much below the others."""
PROBE_INVERSE_RIDGE = 1e-2
"""Inverse ridge of a probe where none is chosen; found on the training places of one data set."""
_MAX_ITERATIONS = 300

Floats = NDArray[np.floating]


@dataclass(frozen=True)
class Probe:
    """A linear classifier: scores are ``features @ weight.T + bias``; weight is (C, F), bias (C,)."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def scores(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return scores (P, C) of features (P, F)."""
        return features @ self.weight.T + self.bias

    def band_graph(self) -> bytes:
        """Return the inference graph that computes the scores of each pixel of images (N, F, H, W)."""
        return linear_band_graph(self.weight, self.bias)


@dataclass(frozen=True)
class Standardised:
    """Features (P, F) of mean 0 and standard deviation 1, as coordinates (P, K) in the space that they span.

    The ridge penalty keeps the weights in that space. With fewer points than features, a fit to the coordinates
    gives the same result and is faster.

    Attributes:
        coordinates: (P, K) with K = min(P, F).
        mean: Mean of each feature (F,).
        deviation: Standard deviation of each feature (F,); 1 where a feature does not vary.
        axes: Directions of the coordinates (F, K); None if the coordinates are the features.
    """

    coordinates: Floats
    mean: Floats
    deviation: Floats
    axes: Floats | None

    def to_probe(self, weight: Floats, bias: Floats) -> Probe:
        """Convert weights (C, K) and biases (C,) of the coordinates to a probe of the features."""
        slope = (weight if self.axes is None else weight @ self.axes.T) / self.deviation
        return Probe(slope.astype(np.float32), (bias - slope @ self.mean).astype(np.float32))


def standardise(features: Floats) -> Standardised:
    """Standardise features (P, F); their dtype is kept."""
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
        features: (P, F); the fit uses their dtype.
        labels: Class ids (P,) of at least two classes. Classes without a point get weight 0 and a low bias.
        weights: Point weights (P,).
        classes: C.
        inverse_ridge: Factor of the summed loss relative to half the squared weights (``C`` in scikit-learn).
    """
    standard = standardise(features)
    with single_threaded_blas():
        found = fit_linear(
            standard.coordinates, labels, weights, classes=classes, inverse_ridge=inverse_ridge
        )
    return standard.to_probe(*found)


def linear_scores(classes: int, inverse_ridge: float = PROBE_INVERSE_RIDGE) -> FitAndScore:
    """Return a function that fits a probe to a sample and computes the scores (Q, C) of values, for a cross-validation."""

    def fit_and_score(_: int, fitted: Sample, values: Floats) -> Floats:
        probe = fit_probe(
            fitted.values, fitted.labels, fitted.weights, classes=classes, inverse_ridge=inverse_ridge
        )
        return probe.scores(values)

    return fit_and_score


@contextmanager
def single_threaded_blas() -> Iterator[None]:
    """Limit BLAS to one thread and ignore convergence warnings while threads call :func:`fit_linear` in parallel.

    NumPy and SciPy each bring a BLAS with threads that spin while they wait. The optimiser alternates between the two,
    so their threads would compete for the cores. A fit that stops before full convergence is good enough, so
    ConvergenceWarning is ignored; warning filters apply to the process, not to a thread.
    """
    with threadpool_limits(1, "blas"), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


Coefficients = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Weights (C, K) and biases (C,)."""


def fit_linear(
    values: Floats,
    labels: NDArray[np.int64],
    weights: Floats,
    *,
    classes: int,
    inverse_ridge: float,
    start: Coefficients | None = None,
) -> Coefficients:
    """Fit weights and biases as :func:`fit_probe` does, without standardising the values (P, K).

    Call it inside :func:`single_threaded_blas`. ``start`` is a fit of the same classes with another ridge (warm
    start).
    """
    model = LogisticRegression(C=inverse_ridge, max_iter=_MAX_ITERATIONS, tol=1e-3, warm_start=True)
    if start is not None:
        seen = np.unique(labels)
        model.coef_, model.intercept_ = start[0][seen], start[1][seen]
        if len(seen) == 2:
            model.coef_, model.intercept_ = np.diff(model.coef_, axis=0), np.diff(model.intercept_)
    model.fit(values, labels, weights)
    slope, bias = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        slope, bias = np.concatenate([-slope, slope]) / 2, np.concatenate([-bias, bias]) / 2
    every_slope, every_bias = np.zeros((classes, slope.shape[1])), np.full(classes, -ABSENT_CLASS_MARGIN)
    every_slope[model.classes_], every_bias[model.classes_] = slope, bias
    return every_slope, every_bias
