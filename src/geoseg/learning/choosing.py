"""Choosing between ways to learn by the points that they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.learning.calibration import HeldOut, miou_of_shares

_DRAWS = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Score:
    """Mean IoU at held-out points, every class counted alike (0..1), and its bootstrapped standard error."""

    miou: float
    error: float


@dataclass(frozen=True)
class Choice:
    """The name with the best score, and those that do as well: nearer to it than the standard error of the difference."""

    best: str
    as_well: tuple[str, ...]


def score(held_out: HeldOut, seed: int = 0) -> Score:
    """Return the mean IoU that held-out points promise for land on which all their classes are equally frequent.

    Points are drawn by class, so their own frequencies say nothing about the land.

    Args:
        held_out: Logits at points that the model was not fitted to.
        seed: Seed of the bootstrap (Efron, 1979), which draws the points again 200 times.
    """
    rng, count = np.random.default_rng(seed), len(held_out.labels)
    drawn = (np.bincount(rng.integers(count, size=count), minlength=count) for _ in range(_DRAWS))
    again = [_miou(held_out, held_out.weights * times) for times in drawn]
    return Score(_miou(held_out, held_out.weights), float(np.std(again)))


def choose(scores: Mapping[str, Score]) -> Choice:
    """Return which of the names scores best, and which do as well; of equal scores the first wins."""
    best = max(scores, key=lambda name: scores[name].miou)
    lead = {name: scores[best].miou - other.miou for name, other in scores.items() if name != best}
    spread = {name: float(np.hypot(scores[best].error, scores[name].error)) for name in lead}
    return Choice(best, tuple(name for name in lead if lead[name] <= spread[name]))


def _miou(held_out: HeldOut, weights: NDArray[np.floating]) -> float:
    classes = held_out.logits.shape[1]
    cells = held_out.labels * classes + held_out.logits.argmax(axis=1)
    table = np.bincount(cells, weights, classes * classes).reshape(classes, classes)
    total = table.sum(axis=1)
    rates: Array = np.divide(table, total[:, None], out=np.zeros_like(table), where=total[:, None] > 0)
    return miou_of_shares(rates, (total > 0) / max(1, int((total > 0).sum())))
