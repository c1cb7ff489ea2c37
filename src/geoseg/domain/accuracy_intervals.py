"""Scores of weighted confusion matrices, with intervals from a bootstrap over spatial blocks.

Efron and Tibshirani, "An introduction to the bootstrap" (1993), chapter 13: percentile intervals. Points of a block are
drawn together, because they resemble each other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import class_scores

DRAWS = 1000
MIN_INTERVAL_BLOCKS = 5
"""Minimum number of blocks for an interval: draws of fewer hardly differ."""
_TAILS = (2.5, 97.5)
_SEED = 0
_BY_CLASS = ("users", "producers", "f1", "iou")

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PointScores:
    """Scores 0..1 with 95 % intervals; NaN where a score or an interval is undefined.

    Attributes:
        confusion: Weights of the points (C, C), reference in rows.
        values: By name: overall_accuracy and miou of shape (); users, producers, f1, iou of shape (C,).
        intervals: By the same names: lower and upper bound, of shape (2,) or (2, C).
    """

    confusion: Array
    values: dict[str, Array]
    intervals: dict[str, Array]

    def to_record(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as JSON values: null where a score is undefined."""
        record: dict[str, Any] = {}
        for name, value in self.values.items():
            bounds = self.intervals[name]
            if name in _BY_CLASS:
                record[name] = {n: _plain(value[k], bounds[:, k]) for k, n in enumerate(names)}
            else:
                record[name] = _plain(value, bounds)
        return {**record, "confusion": np.round(self.confusion, 6).tolist()}


def score_blocks(matrices: Array, shares: Array | None = None) -> PointScores:
    """Return the scores of the sum of confusion matrices, and their intervals.

    An interval needs five blocks; that of a class needs five blocks with points of the class.

    Args:
        matrices: Confusion matrix of each block (B, C, C): weights of its points, reference in rows.
        shares: Class proportions of the area (C,), to which the rows are scaled; None takes those of the points.
    """
    blocks, classes = matrices.shape[:2]
    total = matrices.sum(axis=0)
    values = class_scores(scale_rows(total, shares))
    rng = np.random.default_rng(_SEED)
    times = rng.multinomial(blocks, np.full(blocks, 1 / blocks), size=DRAWS).astype(np.float64)
    drawn = (times @ matrices.reshape(blocks, -1)).reshape(DRAWS, classes, classes)
    again = class_scores(scale_rows(drawn, shares))
    is_enough = (matrices.sum(axis=2) > 0).sum(axis=0) >= MIN_INTERVAL_BLOCKS
    intervals = {}
    for name, draws in again.items():
        kept = np.isfinite(values[name])
        kept = kept & (is_enough if name in _BY_CLASS else blocks >= MIN_INTERVAL_BLOCKS)
        bounds = np.full((2, *draws.shape[1:]), np.nan)
        if kept.any():
            bounds[:, kept] = np.nanpercentile(draws[:, kept], _TAILS, axis=0)
        intervals[name] = bounds
    return PointScores(total, values, intervals)


def scale_rows(matrices: Array, shares: Array | None) -> Array:
    """Scale the rows of confusion matrices (..., C, C) to class proportions (C,); an empty row stays empty."""
    if shares is None:
        return matrices
    total = matrices.sum(axis=-1, keepdims=True)
    scaled: Array = np.divide(
        matrices * shares[:, None], total, out=np.zeros(matrices.shape), where=total > 0
    )
    return scaled


def block_matrices(
    labels: NDArray[np.integer],
    mapped: NDArray[np.integer],
    weights: NDArray[np.floating],
    *,
    blocks: NDArray[np.integer],
    classes: int,
) -> Array:
    """Return the confusion matrix of each block (B, C, C) from class ids, weights and block numbers of points (P,)."""
    _, block = np.unique(blocks, return_inverse=True)
    count = int(block.max(initial=-1)) + 1
    cells = (block * classes + labels) * classes + mapped
    sums = np.bincount(cells, weights.astype(np.float64), count * classes**2).astype(np.float64)
    return sums.reshape(count, classes, classes)


def _plain(value: Any, bounds: Array) -> dict[str, Any]:
    low, high = (None if math.isnan(b) else round(float(b), 6) for b in bounds)
    return {
        "estimate": None if np.isnan(value) else round(float(value), 6),
        "interval": None if low is None else [low, high],
    }
