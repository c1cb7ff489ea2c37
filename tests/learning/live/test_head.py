"""The head of the page."""

from __future__ import annotations

import numpy as np

from geoseg.learning.live.head import block_numbers, fit_live
from geoseg.learning.validation import Sample


def sample(count: int, seed: int = 0) -> Sample:
    rng = np.random.default_rng(seed)
    labels = np.array([3, 7])[np.arange(count) % 2]
    values = rng.normal(0, 1, (count, 20)).astype(np.float32)
    values[:, 0] += np.where(labels == 7, 2.0, -2.0)
    return Sample(values, labels.astype(np.int64), np.ones(count), np.arange(count) // 3)


def test_classes_keep_their_ids_and_confidence_is_calibrated() -> None:
    head = fit_live(sample(60))
    other = sample(1000, 1)
    scores = head.probe.scores(other.values.astype(np.float32))
    assert head.classes == (3, 7)
    assert (np.array(head.classes)[scores.argmax(axis=1)] == other.labels).mean() > 0.9
    assert head.held_out is not None
    assert 0.2 < head.temperature < 5


def test_a_warm_start_reaches_the_same_fit() -> None:
    first = fit_live(sample(59))
    warm, cold = fit_live(sample(60), before=first), fit_live(sample(60))
    other = sample(500, 2).values.astype(np.float32)
    assert np.abs(warm.probe.scores(other) - cold.probe.scores(other)).max() < 0.1


def test_two_points_are_enough_for_a_map_without_calibration() -> None:
    head = fit_live(sample(2))
    assert (head.held_out, head.temperature) == (None, 1.0)


def test_blocks_are_squares_of_a_raster() -> None:
    found = block_numbers(np.array([0.0, 99, 101, 0]), np.zeros(4), np.array([0, 0, 0, 1]), side_px=100)
    assert found.tolist() == [0, 0, 1, 2]
