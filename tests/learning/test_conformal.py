"""Conformal sets: thresholds worked by hand, and coverage of each class by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.learning.conformal import conformal_thresholds, set_sizes


def test_thresholds_are_ranks_of_the_classes_own_points() -> None:
    # 19 points of class 0: rank floor(20 * 0.1) = 2, the second smallest of 0.05, 0.10, ... Class 1 has too few.
    own = np.arange(1, 20) / 20
    probabilities = np.concatenate([np.stack([own, 1 - own], axis=1), [[0.3, 0.7]] * 8])
    labels = np.array([0] * 19 + [1] * 8)
    assert conformal_thresholds(probabilities, labels).tolist() == [0.1, 0.0]


def test_a_set_counts_the_classes_that_reach_their_threshold() -> None:
    probabilities = np.array([[[0.7, 0.1]], [[0.2, 0.1]], [[0.1, 0.8]]])
    assert set_sizes(probabilities, np.array([0.5, 0.2, 0.9])).tolist() == [[2, 0]]


@pytest.mark.parametrize("coverage", [0.8, 0.9])
def test_each_class_is_covered_as_often_as_promised(coverage: float) -> None:
    rng = np.random.default_rng(0)
    counts, trials = (60, 25), 400
    labels, covered = np.repeat([0, 1], counts), np.zeros((trials, 2))

    def draw(classes: np.ndarray) -> np.ndarray:
        # A poor and overconfident classifier: the guarantee needs no good one.
        score = rng.normal(np.where(classes == 1, 0.5, -1.0), 1.5)
        first = 1 / (1 + np.exp(3 * score))
        return np.stack([first, 1 - first], axis=1)

    for trial in range(trials):
        thresholds = conformal_thresholds(draw(labels), labels, coverage=coverage)
        new = np.repeat([0, 1], 200)
        inside = draw(new)[np.arange(400), new] >= thresholds[new]
        covered[trial] = inside[:200].mean(), inside[200:].mean()
    # The mean coverage lies between the promise and 1 / (n + 1) above it; 3 standard errors are 0.01.
    for k, count in enumerate(counts):
        assert coverage - 0.01 <= covered[:, k].mean() <= coverage + 1 / (count + 1) + 0.01
