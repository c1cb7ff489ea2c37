"""A small perceptron: one hidden layer on standardised features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.bands import perceptron_band_graph
from geoseg.learning.heads.head import Candidate
from geoseg.learning.heads.logistic import ABSENT_CLASS_MARGIN, single_threaded_blas
from geoseg.learning.validation import Floats, Sample

HIDDEN = 64
RIDGES = (1.0, 10.0, 30.0)
_MAX_ITERATIONS = 100

Layers = tuple[tuple[NDArray[np.float32], NDArray[np.float32]], ...]
"""Weight (out, in) and bias (out,) of each layer."""


@dataclass(frozen=True)
class PerceptronHead:
    """Dense layers with ReLU between them."""

    layers: Layers

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """Return logits (P, C) of features (P, F)."""
        values: Floats = features
        for n, (weight, bias) in enumerate(self.layers):
            values = values @ weight.T + bias
            if n < len(self.layers) - 1:
                values = np.maximum(values, 0)
        return values

    def band_graph(self) -> bytes:
        """Return the inference graph."""
        return perceptron_band_graph(self.layers)


def perceptron_candidates(classes: int, seed: int) -> Sequence[Candidate]:
    """Return perceptrons with several ridges."""
    return [
        Candidate(
            "mlp", f"ridge = {ridge:g}", partial(fit_perceptron, classes=classes, ridge=ridge, seed=seed)
        )
        for ridge in RIDGES
    ]


def fit_perceptron(sample: Sample, *, classes: int, ridge: float, seed: int) -> PerceptronHead:
    """Fit a perceptron with 64 hidden units by L-BFGS.

    Args:
        sample: Points of at least two classes. Classes without a point get a low logit.
        classes: C.
        ridge: Factor of half the squared weights relative to the summed loss (``alpha`` in scikit-learn).
        seed: Seed of the initial weights.
    """
    from sklearn.neural_network import MLPClassifier

    mean, deviation = sample.values.mean(axis=0), sample.values.std(axis=0)
    deviation = np.where(deviation == 0, 1, deviation)
    model = MLPClassifier((HIDDEN,), solver="lbfgs", alpha=ridge, max_iter=_MAX_ITERATIONS, random_state=seed)
    with single_threaded_blas():
        model.fit((sample.values - mean) / deviation, sample.labels, sample.weights)
    first, last = model.coefs_
    slope, bias = last.T, model.intercepts_[1]
    if len(model.classes_) == 2:
        slope, bias = np.concatenate([-slope, slope]) / 2, np.concatenate([-bias, bias]) / 2
    every_slope, every_bias = np.zeros((classes, HIDDEN)), np.full(classes, -ABSENT_CLASS_MARGIN)
    every_slope[model.classes_], every_bias[model.classes_] = slope, bias
    weight = (first / deviation[:, None]).T
    return PerceptronHead(
        (
            (_float32(weight), _float32(model.intercepts_[0] - weight @ mean)),
            (_float32(every_slope), _float32(every_bias)),
        )
    )


def _float32(values: Floats) -> NDArray[np.float32]:
    return np.ascontiguousarray(values, np.float32)
