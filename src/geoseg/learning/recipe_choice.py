"""Choosing between ways to learn by the points that they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geoseg.learning.calibration import HeldOut
from geoseg.learning.expected_scores import ExpectedScores, bootstrap


@dataclass(frozen=True)
class Score:
    """Mean IoU at held-out points, every class counted alike (0..1), and its bootstrapped standard error."""

    miou: float
    error: float


@dataclass(frozen=True)
class Choice:
    """A choice between names.

    Attributes:
        best: The name chosen.
        leader: The name with the highest score.
        as_well: The other names whose score is nearer to the leader's than the standard error of the difference.
    """

    best: str
    leader: str
    as_well: tuple[str, ...]


def score(held_out: HeldOut) -> Score:
    """Return the mean IoU that held-out points promise for land on which all their classes are equally frequent.

    Points are drawn by class, so their own frequencies say nothing about the land. The error is that of a bootstrap.

    Args:
        held_out: Logits (P, C) at points that the model was not fitted to, one of them at least with a weight.
    """
    held_out = held_out.with_positive_weight()
    has_points = np.bincount(held_out.labels, held_out.weights, held_out.logits.shape[1]) > 0
    promise = ExpectedScores(
        held_out.logits.argmax(axis=1), held_out, has_points / max(1, int(has_points.sum()))
    )
    again = [promise.miou(drawn) for drawn in bootstrap(held_out)]
    return Score(promise.miou(held_out.weights), float(np.std(again)))


def choose(scores: Mapping[str, Score]) -> Choice:
    """Return the first name that scores as well as the leader: nearer to it than the standard error of the difference.

    Args:
        scores: By name; the names with the better record come first.
    """
    leader = max(scores, key=lambda name: scores[name].miou)
    best = next(name for name in scores if _is_as_good(scores[name], scores[leader]))
    others = (name for name in scores if name != best and _is_as_good(scores[name], scores[leader]))
    return Choice(best, leader, tuple(others))


def _is_as_good(one: Score, leader: Score) -> bool:
    return bool(leader.miou - one.miou <= np.hypot(leader.error, one.error))
