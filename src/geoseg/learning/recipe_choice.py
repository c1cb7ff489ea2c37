"""Choice of a recipe by scores at held-out points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from geoseg.learning.calibration import HeldOut
from geoseg.learning.expected_scores import ExpectedScores, bootstrap


@dataclass(frozen=True)
class Score:
    """Mean IoU at held-out points under equal class proportions (0..1), and its bootstrap standard error."""

    miou: float
    error: float


@dataclass(frozen=True)
class Choice:
    """Result of a choice.

    Attributes:
        best: The chosen name.
        leader: The name with the highest score.
        as_well: Other names whose score differs from the leader's by at most the standard error of the difference.
    """

    best: str
    leader: str
    as_well: tuple[str, ...]


def score(held_out: HeldOut) -> Score:
    """Return the expected mean IoU under equal class proportions, estimated at held-out points.

    Points are drawn by class, so their class frequencies are not the class proportions of the area. The standard
    error comes from a bootstrap.

    Args:
        held_out: Logits (P, C) at held-out points, at least one of positive weight.
    """
    held_out = held_out.with_positive_weight()
    has_points = np.bincount(held_out.labels, held_out.weights, held_out.logits.shape[1]) > 0
    promise = ExpectedScores(
        held_out.logits.argmax(axis=1), held_out, has_points / max(1, int(has_points.sum()))
    )
    again = [promise.miou(drawn) for drawn in bootstrap(held_out)]
    return Score(promise.miou(held_out.weights), float(np.std(again)))


def choose(scores: Mapping[str, Score]) -> Choice:
    """Return the first name whose score differs from the highest by at most the standard error of the difference.

    Args:
        scores: Scores by name, in order of preference.
    """
    leader = max(scores, key=lambda name: scores[name].miou)
    best = next(name for name in scores if _is_within_error(scores[name], scores[leader]))
    others = (name for name in scores if name != best and _is_within_error(scores[name], scores[leader]))
    return Choice(best, leader, tuple(others))


def _is_within_error(one: Score, leader: Score) -> bool:
    return bool(leader.miou - one.miou <= np.hypot(leader.error, one.error))
