"""Scores of a model at held-out points, as the map would show them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy_intervals import PointScores, block_matrices, score_blocks
from geoseg.learning.calibration import Calibration, HeldOut

FEW_POINTS = 10
"""Below this number of held-out points, the scores of a class say little."""


@dataclass(frozen=True)
class ValidationScores:
    """Scores at held-out points.

    Attributes:
        at_points: Scores at the points, which count by their weights.
        in_area: Scores with the class proportions of the area; None if they are not known.
        counts: Number of held-out points of each class (C,).
        blocks: Number of blocks with held-out points.
        missing: Ids of the classes with training points that were never held out.
    """

    at_points: PointScores
    in_area: PointScores | None
    counts: tuple[int, ...]
    blocks: int
    missing: tuple[int, ...]

    @property
    def points(self) -> int:
        """Number of held-out points."""
        return sum(self.counts)

    @property
    def few(self) -> tuple[int, ...]:
        """Ids of the classes with fewer than ten held-out points."""
        return tuple(k for k, count in enumerate(self.counts) if 0 < count < FEW_POINTS)

    def to_record(self, names: Sequence[str]) -> dict[str, Any]:
        """Return the scores as JSON values."""
        return {
            "points": self.points,
            "blocks": self.blocks,
            "points_by_class": dict(zip(names, self.counts, strict=True)),
            "never_held_out": [names[k] for k in self.missing],
            "at_points": self.at_points.to_record(names),
            "in_area": None if self.in_area is None else self.in_area.to_record(names),
        }


def mapped_classes(logits: NDArray[np.floating], calibration: Calibration) -> NDArray[np.intp]:
    """Return the class ids (P,) that the map shows for logits (P, C), with temperature and prior shift."""
    scaled = logits.astype(np.float64) / calibration.temperature
    if calibration.shift is not None:
        scaled = scaled + np.asarray(calibration.shift)
    found: NDArray[np.intp] = scaled.argmax(axis=1)
    return found


def score_held_out(
    held_out: HeldOut,
    calibration: Calibration,
    *,
    trained: NDArray[np.integer],
    land_shares: NDArray[np.float64] | None = None,
) -> ValidationScores | None:
    """Score the classes that the map would show at held-out points; None if no point has a weight.

    Args:
        held_out: The held-out points.
        calibration: The calibration of the map.
        trained: Class ids of the training points.
        land_shares: Class proportions of the area (C,), if they are known.
    """
    held_out = held_out.with_positive_weight()
    if not len(held_out.labels):
        return None
    return score_mapped(
        held_out, mapped_classes(held_out.logits, calibration), trained=trained, land_shares=land_shares
    )


def score_mapped(
    held_out: HeldOut,
    mapped: NDArray[np.intp],
    *,
    trained: NDArray[np.integer],
    land_shares: NDArray[np.float64] | None = None,
) -> ValidationScores:
    """Score mapped class ids (P,) at held-out points; see :func:`score_held_out`."""
    classes = held_out.logits.shape[1]
    places = np.arange(len(mapped)) if held_out.places is None else held_out.places
    matrices = block_matrices(held_out.labels, mapped, held_out.weights, blocks=places, classes=classes)
    counts = np.bincount(held_out.labels, minlength=classes)
    has_points = np.bincount(trained, minlength=classes) > 0
    return ValidationScores(
        score_blocks(matrices),
        None if land_shares is None else score_blocks(matrices, land_shares),
        tuple(counts.tolist()),
        len(matrices),
        tuple(np.flatnonzero(has_points & (counts == 0)).tolist()),
    )
