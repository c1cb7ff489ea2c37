"""Class prior: class proportions of the mapped area, and the prior shift of the predicted odds.

Points are usually drawn by class. With equally many points per class, a network learns equal class frequencies, and
overestimates rare classes. If the points are a random sample of the area, no correction is needed, and the noise of
an estimate would only do harm. So the held-out points determine the strength of every correction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import takewhile

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax

from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.expected_scores import ExpectedScores, bootstrap

STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
MIN_RECALL_FRACTION = 0.5
"""Minimum fraction of its producer's accuracy that a class keeps under the correction."""
PRIOR_POINTS = 300
"""Weight of the assumption that the full correction (strength 1) is right, as a number of held-out points."""
MIN_CALIBRATION_POINTS = 30
"""Minimum number of held-out points at which probabilities are considered calibrated."""
MIN_CLASS_PROPORTION = 1e-3
"""Minimum estimated proportion of a class with points."""
MAX_RATIO = 20.0
"""Maximum ratio of a class's proportion in the area to its share of the points; the minimum is its inverse."""
CLASS_PRIOR_POINTS = 2
"""Weight of the assumption that a class needs no correction, as a number of its held-out points."""
MIN_KEPT_FRACTION = 0.05
"""Minimum fraction of a class's pixels that it keeps under the correction."""
_CONVERGENCE_TOLERANCE = 1e-6
_STEPS = 20

Array = NDArray[np.float64]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ClassProportions:
    """Class proportions of the mapped area (C,), and the weight 0..1 of the points' proportions in them."""

    shares: Array
    point_weight: float = 0.0


@dataclass(frozen=True)
class Gain:
    """Expected gain of a correction: mean and standard error over bootstrap draws of the blocks.

    Attributes:
        log_likelihood: Gain in log-likelihood of the true classes in nats, and its standard error.
        miou: Gain in mean IoU, and its standard error.
    """

    log_likelihood: tuple[float, float]
    miou: tuple[float, float]

    @property
    def is_significant(self) -> bool:
        """Whether the likelihood gain exceeds its standard error, and mIoU loses at most half of its standard error."""
        return self.log_likelihood[0] > self.log_likelihood[1] and self.miou[0] >= -self.miou[1] / 2


@dataclass(frozen=True)
class PriorReport:
    """Report on a correction of the prior.

    Attributes:
        point_shares: Share of each class among the points.
        land_shares: Estimated or stated proportion of each class in the mapped area.
        point_weight: Weight of the points' shares in the proportions, 0..1; 1 means that they show no difference.
        trust: Fraction of each class's correction that its number of held-out points supports.
        strength: Exponent of the ratio of the shares by which the odds are multiplied.
        gain: Expected gain of the correction.
        weakened: Ids of the classes whose correction was reduced because they would vanish from the map.
        expected_miou: Expected mean IoU by strength, estimated at the held-out points.
    """

    point_shares: tuple[float, ...]
    land_shares: tuple[float, ...]
    point_weight: float
    trust: tuple[float, ...]
    strength: float
    gain: Gain
    weakened: tuple[int, ...]
    expected_miou: Mapping[str, float]


def estimate_shares(
    probabilities: Floats, point_shares: Array, *, point_weight: float = 0.0, iterations: int = 500
) -> Array:
    """Estimate class proportions at unlabelled pixels by expectation maximisation.

    Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities", Neural Computation 14 (2002),
    with a Dirichlet prior around the points' shares. The probabilities must be calibrated.

    Args:
        probabilities: Class probabilities at unlabelled pixels (U, C), under the class shares of the points.
        point_shares: Class shares of the points (C,); a share of 0 stays 0.
        point_weight: Weight of the points' shares, 0..1: 0 is maximum likelihood, 1 gives the points' shares.
        iterations: Maximum number of iterations.
    """
    seen = point_shares > 0
    own = point_shares[seen] / point_shares[seen].sum()
    shares, likelihood = own, probabilities[:, seen] / own
    for _ in range(iterations):
        joint = likelihood * shares
        found = (joint / joint.sum(axis=1, keepdims=True)).mean(axis=0)
        new = (1 - point_weight) * found + point_weight * own
        change, shares = np.abs(new - shares).max(), new
        if change < _CONVERGENCE_TOLERANCE:
            break
    every = np.zeros(len(point_shares))
    # The minimum never raises a class above its share of the points.
    every[seen] = np.maximum(shares, np.minimum(MIN_CLASS_PROPORTION, own))
    sums_to_1: Array = every / every.sum()
    return sums_to_1


def estimate_point_weight(held_out: HeldOut, unlabelled: Floats, temperature: float) -> float:
    """Return the weight 0..1 of the points' class shares in the estimated class proportions.

    The mean class probabilities at unlabelled pixels and at held-out points are compared (Lipton et al., "Detecting
    and correcting for label shift with black box predictors", ICML 2018). If the points are a random sample of the
    area, they differ by no more than the sampling noise. The weight is twice the variance of the difference
    (bootstrap over blocks) divided by the squared difference, as in a James-Stein estimate.

    Args:
        held_out: The held-out points.
        unlabelled: Logits (U, C) at random pixels of the mapped area.
        temperature: Temperature of the calibration.
    """
    at_points, land = (
        softmax(logits.astype(np.float64) / temperature, axis=1) for logits in (held_out.logits, unlabelled)
    )
    drawn = [
        np.average(at_points, axis=0, weights=weights) for weights in bootstrap(held_out) if weights.any()
    ]
    variance = float(np.var(drawn, axis=0).sum())
    difference = land.mean(axis=0) - np.average(at_points, axis=0, weights=held_out.weights)
    square = float(difference @ difference)
    has_places = held_out.places is None or len(np.unique(held_out.places)) > 1
    return min(1.0, 2 * variance / square) if square and has_places else 1.0


def correct_prior(
    held_out: HeldOut,
    temperature: float,
    *,
    point_shares: Array,
    land: ClassProportions,
    unlabelled: Floats | None = None,
    is_stated: bool = False,
) -> tuple[Calibration, PriorReport]:
    """Shift the odds towards the class proportions of the mapped area, as far as the held-out points support it.

    Odds are multiplied by (area proportion / point share) to the power of a strength (Menon et al., "Long-tail
    learning via logit adjustment", ICLR 2021). For each strength, the expected mean IoU is estimated at the held-out
    points, weighted by the class proportions. The strength is the mean of the best strengths over bootstrap draws of
    the blocks (bagging; Breiman, 1996), averaged with the largest strength, which is exact for calibrated
    probabilities (Bayes' rule). A strength is excluded if a class loses more than half of its producer's accuracy.
    Estimated proportions change nothing unless the :class:`Gain` is significant. The likelihood decides that, because
    it uses all points, while mean IoU depends on the few points that change class.

    Args:
        held_out: The held-out points.
        temperature: Temperature of the calibration.
        point_shares: Class shares of the training points (C,).
        land: Class proportions of the mapped area.
        unlabelled: Logits (U, C) at random pixels of the mapped area, in which no class may vanish.
        is_stated: Whether the user stated the proportions, so that they are taken as exact.
    """
    found = _label_counts(held_out, len(point_shares))
    # The odds of a class without held-out points are unchanged.
    trust = (found > 0) * 1.0 if is_stated else found / (found + CLASS_PRIOR_POINTS)
    ratio = prior_shift(point_shares, land.shares, trust=trust, strength=1.0)
    scaled = held_out.logits.astype(np.float64) / temperature

    def promise(strength: float) -> ExpectedScores:
        return ExpectedScores((scaled + strength * ratio).argmax(axis=1), held_out, land.shares)

    promises = {s: promise(s) for s in STRENGTHS}
    strength = _bagged_strength(promises, held_out) if land.point_weight < 1 else 0.0
    gain = _gain(promises[0.0], promise(strength), scaled=scaled, shift=strength * ratio)
    if not is_stated and not gain.is_significant:
        strength = 0.0
    shift = kept = strength * ratio
    if unlabelled is not None and len(unlabelled):
        kept = prevent_vanishing_classes(shift, unlabelled.astype(np.float64) / temperature)
    report = PriorReport(
        tuple(point_shares.tolist()),
        tuple(land.shares.tolist()),
        round(land.point_weight, 4),
        tuple(np.round(trust, 4).tolist()),
        strength,
        gain,
        tuple(np.flatnonzero(kept != shift).tolist()),
        {str(s): round(one.miou(held_out.weights), 4) for s, one in promises.items()},
    )
    return Calibration(temperature, tuple(kept.tolist())), report


def prior_shift(point_shares: Array, land_shares: Array, *, trust: Floats, strength: float) -> Array:
    """Return the prior shift (C,): the values to add to the logits.

    Args:
        point_shares: Class shares of the points (C,).
        land_shares: Class proportions of the mapped area (C,).
        trust: Fraction of each class's correction to apply (C,), 0..1.
        strength: Fraction of all corrections to apply, 0..1.
    """
    shift = np.zeros(len(point_shares))
    seen = point_shares > 0
    ratio = np.maximum(land_shares, MIN_CLASS_PROPORTION)[seen] / point_shares[seen]
    limit = np.log(MAX_RATIO)
    shift[seen] = strength * trust[seen] * np.clip(np.log(ratio), -limit, limit)
    return shift


def prevent_vanishing_classes(shift: Array, logits: Array) -> Array:
    """Raise the shift (C,) of classes that would vanish, until each keeps 5 % of its pixels.

    Args:
        shift: The prior shift.
        logits: Calibrated logits at random pixels of the mapped area (U, C).
    """
    classes, found = len(shift), shift.copy()
    before = np.bincount(logits.argmax(axis=1), minlength=classes)
    step = (shift.max() - shift) / _STEPS
    for _ in range(_STEPS):
        after = np.bincount((logits + found).argmax(axis=1), minlength=classes)
        lost = after < MIN_KEPT_FRACTION * before
        if not lost.any():
            break
        found[lost] += step[lost]
    return found


def _label_counts(held_out: HeldOut, classes: int) -> Array:
    """Return the number of held-out labels of each class (C,): the sum of their weights, at most the number of points."""
    weights = np.bincount(held_out.labels, held_out.weights, classes)
    counts: Array = np.minimum(weights, np.bincount(held_out.labels, held_out.weights > 0, classes))
    return counts


def _gain(without: ExpectedScores, corrected: ExpectedScores, *, scaled: Array, shift: Array) -> Gain:
    held_out = without.held_out
    own = np.arange(len(scaled)), held_out.labels
    change = log_softmax(scaled + shift, axis=1)[own] - log_softmax(scaled, axis=1)[own]
    draws = [drawn for drawn in bootstrap(held_out) if drawn.any()]
    likelihoods = [without.mean(change, drawn) for drawn in draws]
    mious = [corrected.miou(drawn) - without.miou(drawn) for drawn in draws]
    likelihood, miou = (
        (round(float(np.mean(g)), 4), round(float(np.std(g)), 4)) for g in (likelihoods, mious)
    )
    return Gain(likelihood, miou)


def _bagged_strength(promises: Mapping[float, ExpectedScores], held_out: HeldOut) -> float:
    """Return the mean of the best strengths over bootstrap draws, averaged with the largest admissible strength."""
    weights = held_out.weights
    least = MIN_RECALL_FRACTION * np.diag(promises[0.0].rates(weights))
    kept = list(takewhile(lambda s: (np.diag(promises[s].rates(weights)) >= least).all(), STRENGTHS))
    scores = np.array([[promises[s].miou(drawn) for s in kept] for drawn in bootstrap(held_out)])
    found = float(np.take(kept, scores.argmax(axis=1)).mean())
    points = int((weights > 0).sum())
    if points < MIN_CALIBRATION_POINTS:
        return round(found, 3)
    return round((points * found + PRIOR_POINTS * kept[-1]) / (points + PRIOR_POINTS), 3)
