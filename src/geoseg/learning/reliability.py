"""Reliability of the confidence at held-out points: expected calibration error and the data of a reliability diagram.

Guo et al., "On calibration of modern neural networks", ICML 2017.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from geoseg.learning.calibration import Calibration, HeldOut

BINS = 10

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Reliability:
    """Confidence and accuracy in ten bins of equal width.

    Attributes:
        weight: Share of the points by weight (10,).
        confidence: Mean confidence (10,); NaN in an empty bin.
        accuracy: Share of right points (10,); NaN in an empty bin.
    """

    weight: Floats
    confidence: Floats
    accuracy: Floats

    @property
    def error(self) -> float:
        """Expected calibration error, 0..1: the mean difference of confidence and accuracy."""
        return float(np.nansum(self.weight * np.abs(self.confidence - self.accuracy)))

    def to_record(self) -> dict[str, Any]:
        """Return error and bins as JSON values."""
        edges = np.linspace(0, 1, BINS + 1)
        return {
            "expected_calibration_error": round(self.error, 6),
            "bins": [
                {
                    "from": round(float(edges[k]), 3),
                    "to": round(float(edges[k + 1]), 3),
                    "share": round(float(self.weight[k]), 6),
                    "confidence": round(float(self.confidence[k]), 6),
                    "accuracy": round(float(self.accuracy[k]), 6),
                }
                for k in range(BINS)
                if self.weight[k] > 0
            ],
        }


def map_probabilities(logits: NDArray[np.floating], calibration: Calibration) -> Floats:
    """Return the class probabilities (P, C) that a map has for logits (P, C), with temperature and prior shift."""
    scaled = logits.astype(np.float64) / calibration.temperature
    shifted = scaled if calibration.shift is None else scaled + np.asarray(calibration.shift)
    found: Floats = softmax(shifted, axis=1)
    return found


def measure_reliability(
    probabilities: Floats, labels: NDArray[np.int64], weights: NDArray[np.floating]
) -> Reliability:
    """Compare the confidence, the highest probability (P, C) of a point, with the share of right points."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    total, sums, hits = (
        np.bincount(bins, weights * value, BINS) for value in (np.ones(len(bins)), confidence, right)
    )
    with np.errstate(invalid="ignore"):
        return Reliability(total / total.sum(), sums / total, hits / total)


def reliability_of(held_out: HeldOut, calibration: Calibration) -> Reliability:
    """Return the reliability at held-out points of positive weight, with the calibration of the map."""
    held_out = held_out.with_positive_weight()
    return measure_reliability(
        map_probabilities(held_out.logits, calibration), held_out.labels, held_out.weights
    )
