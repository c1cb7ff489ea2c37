"""Class proportions of the land, and how far the odds of the classes are corrected by them.

Points are drawn by class, land is not: where each class has as many points, a network learns that all are equally
frequent, and overestimates the rare ones. Where points are a random sample of the land, there is nothing to correct,
and the noise of an estimate would only do harm. So every step here asks what the held-out points support.
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
"""What share of its producer's accuracy a class must keep when the prior is corrected."""
PRIOR_POINTS = 300
"""Held-out points that weigh as much as the belief that calibrated probabilities need the whole correction."""
MIN_CALIBRATION_POINTS = 30
"""Held-out points below which probabilities are not believed to be calibrated."""
MIN_CLASS_PROPORTION = 1e-3
"""Share of the land that a class with points is taken to have at least."""
MAX_RATIO = 20.0
"""What the ratio of a class's share on the land and among the points is taken to be at most, and its inverse at least."""
CLASS_PRIOR_POINTS = 2
"""Held-out points of a class that weigh as much as the belief that its share is that of the points."""
MIN_KEPT_FRACTION = 0.05
"""Part of the pixels of a class that must stay its own when the prior is corrected."""
_CONVERGENCE_TOLERANCE = 1e-6
_STEPS = 20

Array = NDArray[np.float64]
Floats = NDArray[np.floating]


@dataclass(frozen=True)
class ClassProportions:
    """Class proportions of the land (C,), and the weight 0..1 that the points' own proportions have in them."""

    shares: Array
    point_weight: float = 0.0


@dataclass(frozen=True)
class Gain:
    """What a correction is expected to gain on the land: means and standard errors of bootstrap draws of the places.

    Attributes:
        log_likelihood: Of the true classes, in nats, and its standard error.
        miou: Mean IoU, and its standard error.
    """

    log_likelihood: tuple[float, float]
    miou: tuple[float, float]

    @property
    def is_significant(self) -> bool:
        """Whether the likelihood gains more than its standard error, and mIoU does not lose more than half of its own."""
        return self.log_likelihood[0] > self.log_likelihood[1] and self.miou[0] >= -self.miou[1] / 2


@dataclass(frozen=True)
class PriorReport:
    """How the prior was corrected.

    Attributes:
        point_shares: Share of each class among the points.
        land_shares: Share of each class on the land, as estimated or stated.
        point_weight: Weight of the points' shares in those of the land, 0..1; 1: nothing speaks against the points' shares.
        trust: Part of each class's correction that its number of held-out points supports.
        strength: Power of the ratio of the shares that the probabilities are multiplied by.
        gain: What the correction is expected to gain.
        weakened: Ids of the classes that would vanish from the map, so that their correction was weakened.
        expected_miou: Mean IoU by strength that the held-out points lead one to expect.
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
    """Estimate the shares of the classes among unlabelled pixels by expectation maximisation.

    Saerens et al., "Adjusting the outputs of a classifier to new a priori probabilities", Neural Computation 14 (2002),
    with a Dirichlet prior around the points' shares. The probabilities must be calibrated.

    Args:
        probabilities: Of the unlabelled pixels (U, C), under the shares of the points.
        point_shares: Shares of the classes among the points (C,); classes of share 0 stay so.
        point_weight: Weight of the points' shares, 0..1: 0 is maximum likelihood, 1 gives the points' shares.
        iterations: Steps at most.

    Returns:
        Shares (C,) that sum to 1; those of classes with points are a thousandth at least.
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
    # Of classes with fewer points than that, the points' share is not raised.
    every[seen] = np.maximum(shares, np.minimum(MIN_CLASS_PROPORTION, own))
    sums_to_1: Array = every / every.sum()
    return sums_to_1


def estimate_point_weight(held_out: HeldOut, unlabelled: Floats, temperature: float) -> float:
    """Return the weight 0..1 that the points' shares deserve, by how far the land differs from the points.

    Compared are the mean probabilities of the classes at unlabelled pixels and at held-out points (Lipton et al.,
    "Detecting and correcting for label shift with black box predictors", ICML 2018). Where points are a random sample
    of the land, they differ by no more than the points' noise. The weight is twice the variance of the difference, by a
    bootstrap over places, in relation to its square, as in a James-Stein estimate.

    Args:
        held_out: Points that the model was not fitted to.
        unlabelled: Logits (U, C) at random pixels of the land.
        temperature: What calibrates the logits.
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
    """Shift the odds towards the class proportions of the land, as far as the held-out points support it.

    Odds are multiplied by (land share / point share) to the power of a strength (Menon et al., "Long-tail learning via
    logit adjustment", ICLR 2021). For each strength the held-out points, each class weighted by its share on the land,
    promise a mean IoU. Taken is the mean of the strengths that promise most in bootstrap draws of the places (bagging;
    Breiman, 1996), and of the largest, which Bayes' rule asks for where probabilities are right. Strengths that cost a
    class more than half of its held-out points are not considered. Shares that are estimated change nothing unless
    :class:`Gain` is shown. The likelihood judges that since it hangs on all points, mean IoU on the few that change class.

    Args:
        held_out: Points that the model was not fitted to.
        temperature: What calibrates the logits.
        point_shares: Shares of the classes among the points that it was fitted to (C,).
        land: Shares on the land.
        unlabelled: Logits (U, C) at random pixels of the land, on which no class may vanish.
        is_stated: Whether the user states the shares, so that they are not in doubt.

    Returns:
        The calibration, and what it rests on.
    """
    found = np.bincount(held_out.labels, held_out.weights, len(point_shares))
    # A class that no point was held out of keeps its odds.
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
        kept = keep_classes(shift, unlabelled.astype(np.float64) / temperature)
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
    """Return what is added to the logits for land with these shares (C,).

    Args:
        point_shares: Shares of the classes among the points (C,).
        land_shares: Their shares on the land (C,).
        trust: Part of each class's correction that is made (C,), 0..1.
        strength: Part of all corrections that is made, 0..1.
    """
    shift = np.zeros(len(point_shares))
    seen = point_shares > 0
    ratio = np.maximum(land_shares, MIN_CLASS_PROPORTION)[seen] / point_shares[seen]
    limit = np.log(MAX_RATIO)
    shift[seen] = strength * trust[seen] * np.clip(np.log(ratio), -limit, limit)
    return shift


def keep_classes(shift: Array, logits: Array) -> Array:
    """Raise a shift (C,) for classes that would vanish, until each keeps one of 20 of the pixels that it has without it.

    Args:
        shift: What is added to the logits.
        logits: Calibrated logits of random pixels of the land (U, C).
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
    """Return the mean of what does best in bootstrap draws, and of the largest of the strengths that keep every class."""
    weights = held_out.weights
    least = MIN_RECALL_FRACTION * np.diag(promises[0.0].rates(weights))
    kept = list(takewhile(lambda s: (np.diag(promises[s].rates(weights)) >= least).all(), STRENGTHS))
    scores = np.array([[promises[s].miou(drawn) for s in kept] for drawn in bootstrap(held_out)])
    found = float(np.take(kept, scores.argmax(axis=1)).mean())
    points = int((weights > 0).sum())
    if points < MIN_CALIBRATION_POINTS:
        return round(found, 3)
    return round((points * found + PRIOR_POINTS * kept[-1]) / (points + PRIOR_POINTS), 3)
