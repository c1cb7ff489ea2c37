"""Learning curves over spatial blocks, and the gain that more points would bring.

Scores are fitted with an inverse power law, error = a * n ** -b, the usual form of learning curves (Figueroa et al.,
"Predicting sample size required for classification performance", BMC Medical Informatics and Decision Making 12, 2012;
Cortes et al., NeurIPS 1993), to the steps from half of the blocks on, and continued up to twice the number of points.
A few noisy steps cannot tell the error that remains with any number of points. On orthophotos with known truth, real
gains were half of those of the law without a remaining error, and differed by up to 1.5 points from draw to draw; so
half of its gain is expected, and the interval is wider by 1.5 points on both sides (docs/results.md).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import class_scores
from geoseg.domain.accuracy_intervals import MIN_INTERVAL_BLOCKS, block_matrices
from geoseg.learning.validation import FitAndScore, Folds, Sample, spatial_folds

SHARES = (0.25, 0.35, 0.5, 0.7, 1.0)
"""Shares of the blocks that a curve is computed at."""
REPEATS = 3
DRAWS = 500
MAX_EXTRAPOLATION = 2.0
"""Up to this multiple of the points the law is used."""
_FITTED_STEPS = 3
_REAL_SHARE = 0.5
"""Share of the gain of the law that real points brought."""
_DRAW_NOISE = 0.015
"""Scores differ by this much from draw to draw of the further points."""
_TAILS = (5.0, 95.0)
_MIN_ERROR = 0.005
_MAX_POWER = 1.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class LearningCurve:
    """Scores at points in other blocks, by the number of points learnt from.

    Attributes:
        class_id: The class whose points were left out; None: points of all classes were.
        total: Number of points of the class, or of all.
        points: Mean number of them that a model learnt from, by step (S,), ascending.
        matrices: Weights of the held-out points by step and block (S, B, C, C), reference in rows.
    """

    class_id: int | None
    total: int
    points: Floats
    matrices: Floats

    @property
    def scores(self) -> Floats:
        """IoU of the class, or mean IoU over all classes, by step (S,)."""
        return self._scores(self.matrices.sum(axis=1))

    def _scores(self, matrices: Floats) -> Floats:
        found = class_scores(matrices)
        return found["miou"] if self.class_id is None else found["iou"][..., self.class_id]

    def drawn_scores(self) -> Floats:
        """Return the scores in 500 draws of blocks (D, S)."""
        steps, blocks, classes = self.matrices.shape[:3]
        rng = np.random.default_rng(0)
        times = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS).astype(np.float64)
        drawn = np.stack([times @ step.reshape(blocks, -1) for step in self.matrices], axis=1)
        return self._scores(drawn.reshape(DRAWS, steps, classes, classes))

    def expected_gain(self, more: int) -> Gain | None:
        """Return the gain that further points are expected to bring; None with fewer than five blocks.

        Args:
            more: Number of further points, in places like those of the known points. At most as many as are known
                count.
        """
        held_out = self.matrices[0].sum(axis=2)
        blocks = (held_out > 0).any(axis=1) if self.class_id is None else held_out[:, self.class_id] > 0
        if blocks.sum() < MIN_INTERVAL_BLOCKS or len(self.points) < 3:
            return None
        counted = min(more, round((MAX_EXTRAPOLATION - 1) * self.total))
        drawn = self.drawn_scores()
        drawn = drawn[np.isfinite(drawn).all(axis=1)]
        if not len(drawn) or not np.isfinite(self.scores).all():
            return None
        expected = float(self._gains(self.scores[None], counted)[0])
        low, high = np.percentile(self._gains(drawn, counted), _TAILS)
        interval = min(float(low), expected) - _DRAW_NOISE, max(float(high), expected) + _DRAW_NOISE
        return Gain(counted, expected, interval)

    def _gains(self, scores: Floats, more: int) -> Floats:
        """Return the expected gain of each row of scores (D, S)."""
        errors = np.log(np.maximum(1 - scores[:, -_FITTED_STEPS:], _MIN_ERROR))
        logs = np.log(self.points[-_FITTED_STEPS:])
        x = logs - logs.mean()
        power = np.clip(-(errors @ x) / (x @ x), 0, _MAX_POWER)
        last = np.exp(errors.mean(axis=1) - power * (np.log(self.total) - logs.mean()))
        gains: Floats = _REAL_SHARE * last * (1 - (1 + more / self.total) ** -power)
        return gains

    def to_record(self, more: int) -> dict[str, Any]:
        """Return the curve as JSON values, with the gain that ``more`` points would bring."""
        gain = self.expected_gain(more)
        bounds = np.nanpercentile(self.drawn_scores(), _TAILS, axis=0)
        return {
            "score": "miou" if self.class_id is None else "iou",
            "points_total": self.total,
            "points": np.round(self.points, 1).tolist(),
            "scores": [_plain(value) for value in self.scores],
            "intervals": [[_plain(low), _plain(high)] for low, high in bounds.T],
            "gain": None if gain is None else gain.to_record(),
        }


@dataclass(frozen=True)
class Gain:
    """Expected gain of a score, 0..1, from more points, and its 90 % interval."""

    more: int
    expected: float
    interval: tuple[float, float]

    def to_record(self) -> dict[str, Any]:
        """Return the gain as JSON values."""
        return {"more_points": self.more, "expected": _plain(self.expected), "interval": list(self.interval)}


def learning_curve(
    sample: Sample,
    fit_and_score: FitAndScore,
    *,
    classes: int,
    class_id: int | None = None,
    repeats: int = REPEATS,
    seed: int = 0,
) -> LearningCurve | None:
    """Score a classifier that learns from more and more blocks, at points in other blocks.

    Args:
        sample: Features of the points in one view, with their block numbers.
        fit_and_score: The classifier.
        classes: C.
        class_id: Leave out blocks of points of this class only, and keep all points of the others; None: of all.
        repeats: Number of random orders of the blocks.
        seed: Seed of the folds and orders.

    Returns:
        The curve; None if the points lie in too few places, or the class in fewer than five.
    """
    folds = spatial_folds(sample.labels, sample.places, seed=seed)
    own = np.ones(len(sample.labels), np.bool_) if class_id is None else sample.labels == class_id
    if folds is None or len(np.unique(sample.places[own])) < MIN_INTERVAL_BLOCKS:
        return None
    _, places = np.unique(sample.places, return_inverse=True)
    count = int(places.max()) + 1
    points, matrices = list[float](), list[Floats]()
    for share in SHARES:
        orders = range(1 if share == 1 else repeats)
        total, learnt = np.zeros((count, classes, classes)), list[int]()
        for order in orders:
            for number, (fitted, left) in enumerate(
                _thinned(sample, folds, own, share=share, seed=(seed, order))
            ):
                if len(np.unique(sample.labels[fitted])) < 2:
                    continue
                logits = fit_and_score(
                    number, _with_whole_weights(sample, folds[number][0], fitted), sample.values[left]
                )
                total += _by_block(sample, places, left, logits.argmax(axis=1), count=count, classes=classes)
                learnt.append(int(own[fitted].sum()))
        if any(learnt) and 0 not in learnt:
            points.append(float(np.mean(learnt)))
            matrices.append(total / len(orders))
    if not points:
        return None
    return LearningCurve(class_id, int(own.sum()), np.array(points), np.stack(matrices))


def _thinned(
    sample: Sample, folds: Folds, own: NDArray[np.bool_], *, share: float, seed: Sequence[int]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield the folds with a share of the blocks of their training points in ``own`` (P,); blocks are nested."""
    for number, (fitted, left) in enumerate(folds):
        mine = fitted[own[fitted]]
        blocks = np.unique(sample.places[mine])
        order = np.random.default_rng([*seed, number]).permutation(blocks)
        kept = order[: max(1, round(share * len(order)))]
        stays = ~own[fitted] | np.isin(sample.places[fitted], kept)
        yield fitted[stays], left


def _with_whole_weights(sample: Sample, whole: NDArray[np.int64], kept: NDArray[np.int64]) -> Sample:
    """Return the kept points, each class with the weight of the whole; otherwise fewer points mean a rarer class."""
    classes = int(sample.labels.max()) + 1
    before, after = (
        np.bincount(sample.labels[at], sample.weights[at], minlength=classes) for at in (whole, kept)
    )
    factor = np.divide(before, after, out=np.ones(classes), where=after > 0)
    own = sample.take(kept)
    return replace(own, weights=own.weights * factor[own.labels])


def _by_block(  # noqa: PLR0917
    sample: Sample,
    places: NDArray[np.intp],
    left: NDArray[np.int64],
    mapped: NDArray[np.intp],
    *,
    count: int,
    classes: int,
) -> Floats:
    """Return the confusion matrix of the points ``left`` in every block (count, C, C)."""
    found = np.zeros((count, classes, classes))
    if len(left):
        own = np.unique(places[left])
        found[own] = block_matrices(
            sample.labels[left], mapped, sample.weights[left], blocks=places[left], classes=classes
        )
    return found


def _plain(value: float) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
