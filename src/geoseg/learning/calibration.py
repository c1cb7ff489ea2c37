"""Calibrated probabilities: a temperature, and a shift of the logits for the class proportions of the land."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Calibration:
    """Probabilities are ``softmax(logits / temperature + shift)``; without a shift, classes keep their odds."""

    temperature: float = 1.0
    shift: tuple[float, ...] | None = None

    def apply(self, logits: Tensor) -> Tensor:
        """Return calibrated logits of the shape of the logits (N, C, ...)."""
        if self.temperature == 1.0 and self.shift is None:
            return logits
        scaled = logits / self.temperature
        if self.shift is None:
            return scaled
        return scaled + logits.new_tensor(self.shift).view(-1, *[1] * (logits.dim() - 2))


@dataclass(frozen=True)
class HeldOut:
    """Logits (P, C) at points that the model was not fitted to, with their class ids, weights and places (P,).

    Points of one place are drawn together in a bootstrap; without ``places`` each point is a place of its own.
    """

    logits: NDArray[np.floating]
    labels: NDArray[np.int64]
    weights: NDArray[np.floating]
    places: NDArray[np.int64] | None = None

    def counting(self) -> HeldOut:
        """Return the points whose weight is not 0."""
        counted = self.weights > 0
        places = None if self.places is None else self.places[counted]
        return HeldOut(self.logits[counted], self.labels[counted], self.weights[counted], places)


def fit_temperature(held_out: HeldOut) -> float:
    """Return the temperature of least cross-entropy, between 1/20 and 20.

    Guo et al., "On calibration of modern neural networks", ICML 2017.
    """
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return cross_entropy(held_out, float(np.exp(log_temperature)))

    found = minimize_scalar(loss, bounds=(-np.log(20), np.log(20)), method="bounded")
    return float(np.exp(found.x))


def cross_entropy(held_out: HeldOut, temperature: float = 1.0) -> float:
    """Return the weighted mean cross-entropy of the labels in nats."""
    from scipy.special import log_softmax

    logs = log_softmax(held_out.logits.astype(np.float64) / temperature, axis=1)
    own = logs[np.arange(len(logs)), held_out.labels]
    return float(-np.average(own, weights=held_out.weights))
