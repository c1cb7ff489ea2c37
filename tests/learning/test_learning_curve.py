"""Learning curves: nested shares of blocks, scores at other blocks, and the gain by an inverse power law."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.learning.heads.logistic import linear_scores
from geoseg.learning.learning_curve import LearningCurve, learning_curve
from geoseg.learning.validation import Sample


def curve_of(errors: list[float], points: list[float], blocks: int = 6) -> LearningCurve:
    """A curve of two classes, each block with 100 points of class 0 and class 1 always right."""
    matrices = np.zeros((len(errors), blocks, 2, 2))
    for step, error in enumerate(errors):
        matrices[step] = [[100 * (1 - error), 100 * error], [0, 0]]
    return LearningCurve(0, round(points[-1]), np.array(points), matrices)


def test_half_of_the_gain_of_a_power_law_is_expected() -> None:
    # error = 0.8 * n ** -0.5: at 16, 64 and 256 points 0.2, 0.1 and 0.05; at 512 points 0.05 / sqrt(2). All blocks are
    # alike, so the interval is that of the draw, 1.5 points on both sides.
    gain = curve_of([0.2, 0.1, 0.05], [16, 64, 256]).expected_gain(256)
    assert gain is not None
    assert gain.expected == pytest.approx(0.025 * (1 - 2**-0.5))
    assert gain.interval == pytest.approx((gain.expected - 0.015, gain.expected + 0.015))


def test_a_falling_score_promises_no_gain() -> None:
    gain = curve_of([0.05, 0.1, 0.2], [16, 64, 256]).expected_gain(100)
    assert gain is not None
    assert gain.expected == 0


def test_a_gain_is_expected_up_to_twice_the_points_only() -> None:
    gain = curve_of([0.2, 0.1, 0.05], [16, 64, 256]).expected_gain(10_000)
    assert gain is not None
    assert gain.more == 256


def test_few_blocks_promise_nothing() -> None:
    assert curve_of([0.2, 0.1, 0.05], [16, 64, 256], blocks=4).expected_gain(10) is None


def test_more_blocks_of_a_class_raise_its_score() -> None:
    rng = np.random.default_rng(0)
    labels = np.tile([0, 0, 1], 60).astype(np.int64)
    values = rng.normal(size=(180, 20)).astype(np.float32)
    values[:, 0] += 2.5 * labels
    sample = Sample(values, labels, np.ones(180), np.repeat(np.arange(30), 6))
    curve = learning_curve(sample, linear_scores(2, inverse_ridge=1.0), classes=2, class_id=1)
    assert curve is not None
    assert curve.total == 60
    # Each fold learns from 24 of 30 blocks with 2 points of the class, and from 6 (a quarter of them) at first.
    assert curve.points[[0, -1]].tolist() == [12, 48]
    assert curve.scores[-1] > curve.scores[0]
    assert np.sum(curve.matrices[-1]) == 180


def test_a_class_in_few_places_has_no_curve() -> None:
    labels = np.array([0, 0, 0, 0, 1, 1], np.int64)
    sample = Sample(np.zeros((6, 2), np.float32), labels, np.ones(6), np.arange(6))
    assert learning_curve(sample, linear_scores(2), classes=2, class_id=1) is None
