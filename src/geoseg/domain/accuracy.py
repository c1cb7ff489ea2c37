"""Accuracy of a map: the confusion matrix and the scores derived from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.errors import LegendError

_VALUES = 256


def confusion_matrix(truth: NDArray[np.uint8], mapped: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    """Count pixels (or points) by true class in rows and mapped class in columns.

    Pixels with truth 255 are not counted. Pixels with a true class and map value 255 (no prediction) are counted as
    errors in column C.

    Args:
        truth: Class ids, any shape; 255 is unlabelled.
        mapped: Class ids, the same shape; 255 is "no prediction".
        classes: C.

    Returns:
        int64, shape (C, C + 1).

    Raises:
        LegendError: The truth or the map holds an id other than 0..C-1 and 255.
    """
    labelled = truth != UNLABELLED
    pairs = truth[labelled].astype(np.intp) * _VALUES + mapped[labelled]
    counts = np.bincount(pairs, minlength=_VALUES * _VALUES).reshape(_VALUES, _VALUES)
    _check_classes(counts.sum(axis=1), classes, "truth")
    _check_classes(counts.sum(axis=0), classes, "map")
    kept = [*range(classes), UNLABELLED]
    return counts[:classes, kept].astype(np.int64)


def _check_classes(counts: NDArray[np.intp], classes: int, where: str) -> None:
    foreign = np.flatnonzero(counts[classes:UNLABELLED]) + classes
    if len(foreign):
        raise LegendError(
            "a class id is not in the legend",
            where=where,
            expected=f"ids 0..{classes - 1}, or {UNLABELLED}",
            got=", ".join(map(str, foreign)),
        )


@dataclass(frozen=True)
class Accuracy:
    """Scores 0..1 of a confusion matrix (Congalton, 1991); NaN where a score is undefined.

    Attributes:
        confusion: int64 (C, C + 1), truth in rows; the last column counts pixels left unmapped.
        iou: Intersection over union by class; NaN for a class absent from the reference.
        f1: F1 by class; NaN for a class absent from the reference.
        precision: User's accuracy by class; NaN for a class absent from the reference or the map.
        recall: Producer's accuracy by class; NaN for a class absent from the reference.
        miou: Mean IoU over the classes present in the reference.
        overall_accuracy: Share of the labelled pixels with the correct class.
    """

    confusion: NDArray[np.int64]
    iou: NDArray[np.float64]
    f1: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    miou: float
    overall_accuracy: float


def accuracy(confusion: NDArray[np.int64]) -> Accuracy:
    """Compute the scores of a confusion matrix of shape (C, C) or (C, C + 1), truth in rows."""
    scores = class_scores(confusion)
    return Accuracy(
        confusion=confusion,
        iou=scores["iou"],
        f1=scores["f1"],
        precision=scores["users"],
        recall=scores["producers"],
        miou=float(scores["miou"]),
        overall_accuracy=float(scores["overall_accuracy"]),
    )


def class_scores(matrices: NDArray[np.number]) -> dict[str, NDArray[np.float64]]:
    """Return the scores of confusion matrices (..., C, C) or (..., C, C + 1), truth in rows.

    The names are ``overall_accuracy`` and ``miou`` (...), ``users``, ``producers``, ``f1`` and ``iou`` (..., C). A class
    without a reference point has no score (NaN), and no part in the means.
    """
    counts = matrices.astype(np.float64)
    own = counts[..., : counts.shape[-2]]
    right = np.diagonal(own, axis1=-2, axis2=-1)
    true, mapped = counts.sum(axis=-1), own.sum(axis=-2)
    present = true > 0
    iou = _ratio(right, true + mapped - right, present)
    count = present.sum(axis=-1)
    return {
        "overall_accuracy": _ratio(right.sum(axis=-1), true.sum(axis=-1), count > 0),
        "miou": _ratio(np.where(present, iou, 0).sum(axis=-1), count.astype(np.float64), count > 0),
        "users": _ratio(right, mapped, present),
        "producers": _ratio(right, true, present),
        "f1": _ratio(2 * right, true + mapped, present),
        "iou": iou,
    }


def accuracy_record(scores: Accuracy, names: Sequence[str]) -> dict[str, object]:
    """Return the scores for result files: fractions by class name, null for absent classes."""
    classes = len(scores.iou)
    return {
        "miou": _number(scores.miou),
        "overall_accuracy": _number(scores.overall_accuracy),
        "iou": _by_name(scores.iou, names),
        "f1": _by_name(scores.f1, names),
        "precision": _by_name(scores.precision, names),
        "recall": _by_name(scores.recall, names),
        "confusion": scores.confusion[:, :classes].tolist(),
        "unmapped": scores.confusion[:, classes:].sum(axis=1).tolist(),
        "pixels": int(scores.confusion.sum()),
    }


def _ratio(
    part: NDArray[np.float64], whole: NDArray[np.float64], exists: NDArray[np.bool_] | np.bool_
) -> NDArray[np.float64]:
    out = np.full(np.shape(part), np.nan)
    np.divide(part, whole, out=out, where=exists & (whole > 0))
    return out


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _by_name(values: NDArray[np.float64], names: Sequence[str]) -> Mapping[str, float | None]:
    return {name: _number(float(value)) for name, value in zip(names, values, strict=True)}
