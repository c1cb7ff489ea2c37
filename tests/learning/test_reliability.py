"""Reliability of the confidence, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.reliability import map_probabilities, measure_reliability, reliability_of


def test_the_error_is_the_mean_difference_of_confidence_and_accuracy() -> None:
    # Two points of confidence 0.85, one right; two of 0.65, both right: 0.5 * 0.35 + 0.5 * 0.35.
    probabilities = np.array([[0.85, 0.15], [0.85, 0.15], [0.35, 0.65], [0.35, 0.65]])
    found = measure_reliability(probabilities, np.array([0, 1, 1, 1]), np.ones(4))
    assert found.error == pytest.approx(0.35)
    record = found.to_record()
    assert [one["from"] for one in record["bins"]] == [0.6, 0.8]
    assert [one["accuracy"] for one in record["bins"]] == [1.0, 0.5]


def test_points_count_by_their_weights() -> None:
    probabilities = np.array([[0.9, 0.1], [0.9, 0.1]])
    found = measure_reliability(probabilities, np.array([0, 1]), np.array([9.0, 1.0]))
    assert found.error == pytest.approx(0)


def test_certain_points_fall_into_the_last_bin() -> None:
    found = measure_reliability(np.array([[1.0, 0.0]]), np.array([0]), np.ones(1))
    assert found.weight[-1] == 1


def test_the_calibration_of_the_map_applies() -> None:
    calibration = Calibration(2.0, (0.0, 1.0))
    assert map_probabilities(np.array([[2.0, 0.0]]), calibration).tolist() == [[0.5, 0.5]]
    held_out = HeldOut(np.array([[2.0, 0.0], [9.0, 0.0]]), np.array([0, 1]), np.array([1.0, 0.0]))
    assert reliability_of(held_out, calibration).error == pytest.approx(0.5)
