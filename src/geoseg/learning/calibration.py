"""What turns logits into honest probabilities of the land: a temperature, and a shift for the classes' shares.

Points are drawn by class, land is not: where each class has as many points, a network learns that all
are equally frequent, and overestimates the rare ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy

if TYPE_CHECKING:
    from torch import Tensor

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST_RECALL = 0.5
"""What share of its producer's accuracy a class must keep when the prior is corrected."""
BELIEF = 300
"""Held-out points that weigh as much as the belief that calibrated probabilities need the whole correction."""
LEAST_CALIBRATING = 30
"""Held-out points below which probabilities are not believed to be calibrated."""
LEAST_LAND = 1e-3
"""Share of the land that a class with points is taken to have at least."""
_LEAST_SHARE = 1e-6
_DRAWS = 200

Array = NDArray[np.float64]


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


@dataclass(frozen=True)
class PriorReport:
    """What was found of the classes' shares.

    Attributes:
        point_shares: Share of each class among the points.
        land_shares: Share of each class on the land, as estimated or stated.
        strength: Power of their ratio that the probabilities are multiplied by.
        expected_miou: Mean IoU by strength that the held-out points lead one to expect.
    """

    point_shares: tuple[float, ...]
    land_shares: tuple[float, ...]
    strength: float
    expected_miou: Mapping[str, float]


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


def estimate_shares(probabilities: Array, point_shares: Array, iterations: int = 500) -> Array:
    """Estimate the shares of the classes among unlabelled pixels by expectation maximisation.

    Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities", Neural
    Computation 14 (2002). The probabilities must be calibrated.

    Args:
        probabilities: Of the unlabelled pixels (U, C), under the shares of the points.
        point_shares: Shares of the classes among the points (C,); classes of share 0 stay so.
        iterations: Steps at most.

    Returns:
        Shares (C,) that sum to 1.
    """
    seen = point_shares > 0
    shares, likelihood = point_shares[seen], probabilities[:, seen] / point_shares[seen]
    for _ in range(iterations):
        joint = likelihood * shares
        new = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        change, shares = np.abs(new - shares).max(), new
        if change < _LEAST_SHARE:
            break
    every = np.zeros(len(point_shares))
    every[seen] = shares
    return every


def correct_prior(
    held_out: HeldOut, temperature: float, *, point_shares: Array, land_shares: Array
) -> tuple[Calibration, PriorReport]:
    """Shift the odds towards the classes' shares on the land, as far as the held-out points support it.

    Odds are multiplied by (land share / point share) to the power of a strength (Menon et al.,
    "Long-tail learning via logit adjustment", ICLR 2021). The held-out points promise a mean IoU for
    each strength when each class is weighted by its share on the land. Taken is the mean of the strengths that promise
    most in bootstrap draws of these points (bagging; Breiman, 1996), and of the largest, which Bayes' rule asks for where
    probabilities are right: few points promise now this, now that, by one or two of them that lie in a rare class. Strengths
    that cost any class more than half of its held-out points are not considered, so no class can vanish; a class that
    has none keeps its odds.

    Args:
        held_out: Points that the model was not fitted to.
        temperature: What calibrates the logits.
        point_shares: Shares of the classes among the points that it was fitted to (C,).
        land_shares: Shares on the land (C,).

    Returns:
        The calibration, and what it rests on.
    """
    least = np.maximum(land_shares, LEAST_LAND)
    tested = np.bincount(held_out.labels, held_out.weights, len(point_shares)) > 0
    known = tested & (point_shares > 0)
    ratio = corrected_shift(point_shares, land_shares, known=known, strength=1.0)
    scaled = held_out.logits.astype(np.float64) / temperature
    promises = {s: Promise((scaled + s * ratio).argmax(axis=1), held_out, least) for s in STRENGTHS}
    strength = _bagged_strength(promises, held_out.weights)
    report = PriorReport(
        tuple(point_shares.tolist()),
        tuple(land_shares.tolist()),
        strength,
        {str(s): round(promise.miou(held_out.weights), 4) for s, promise in promises.items()},
    )
    return Calibration(temperature, tuple((strength * ratio).tolist())), report


def corrected_shift(
    point_shares: Array, land_shares: Array, *, known: NDArray[np.bool_], strength: float
) -> Array:
    """Return what is added to the logits for land with these shares, 0 for classes that are not known (C,)."""
    shift = np.zeros(len(point_shares))
    shift[known] = strength * np.log(np.maximum(land_shares, LEAST_LAND)[known] / point_shares[known])
    return shift


@dataclass(frozen=True)
class Promise:
    """What held-out points, mapped for these classes (P,), promise for land with these shares (C,)."""

    mapped: NDArray[np.intp]
    held_out: HeldOut
    land_shares: Array

    def rates(self, weights: NDArray[np.floating]) -> Array:
        """Return for each true class (rows) the share of its points that each class is mapped for (C, C)."""
        classes = len(self.land_shares)
        cells = np.bincount(self.held_out.labels * classes + self.mapped, weights, classes * classes)
        table = cells.reshape(classes, classes)
        total = table.sum(axis=1, keepdims=True)
        rates: Array = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
        return rates

    def miou(self, weights: NDArray[np.floating]) -> float:
        """Return the mean IoU of the land when the points have these weights (P,)."""
        return miou_of_shares(self.rates(weights), self.land_shares)


def _bagged_strength(promises: Mapping[float, Promise], weights: NDArray[np.floating]) -> float:
    """Return the mean of what does best in bootstrap draws of the points, and of the largest of the strengths that keep every class."""
    least = LEAST_RECALL * np.diag(promises[0.0].rates(weights))
    kept = list(takewhile(lambda s: (np.diag(promises[s].rates(weights)) >= least).all(), STRENGTHS))
    scores = np.array([[promises[s].miou(drawn) for s in kept] for drawn in bootstrap(weights)])
    found = float(np.take(kept, scores.argmax(axis=1)).mean())
    points = int((weights > 0).sum())
    if points < LEAST_CALIBRATING:
        return round(found, 3)
    return round((points * found + BELIEF * kept[-1]) / (points + BELIEF), 3)


def bootstrap(weights: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    """Yield the points' weights (P,) in 200 draws of as many points with replacement (Efron, 1979), always the same."""
    rng, count = np.random.default_rng(len(weights)), len(weights)
    for _ in range(_DRAWS):
        yield weights * np.bincount(rng.integers(count, size=count), minlength=count)


def miou_of_shares(rates: Array, shares: Array) -> float:
    """Return the mean IoU of land with these class shares (C,) when classes are mapped at these rates (C, C)."""
    land = rates * shares[:, None]
    # In parts of a billion: accuracy counts pixels.
    return float(accuracy(np.round(land * 1e9).astype(np.int64)).miou)
