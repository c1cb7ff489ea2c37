"""Which places are suggested."""

from __future__ import annotations

import numpy as np

from geoseg.domain.suggestions import class_deficits, cover, question

NONE = np.zeros((0, 3)), np.zeros((0, 2))


def test_coverage_finds_every_cluster_and_leaves_labelled_ones() -> None:
    rng = np.random.default_rng(0)
    centre = np.repeat(np.eye(3) * 50, [300, 30, 20], axis=0)
    features = centre + rng.normal(0, 1, centre.shape)
    positions = rng.random((350, 2)) * 100
    for seed in range(5):
        chosen = cover(features, positions, known=NONE, count=6, seed=seed)
        assert set(centre[chosen].argmax(axis=1)) == {0, 1, 2}
        known = features[:5], positions[:5]
        first = cover(features, positions, known=known, count=1, seed=seed)
        assert centre[first].argmax() != 0


def test_coverage_of_equal_places_stops() -> None:
    assert len(cover(np.ones((4, 3)), np.ones((4, 2)), known=NONE, count=3, seed=0)) == 1
    assert len(cover(np.zeros((0, 3)), np.zeros((0, 2)), known=NONE, count=3, seed=0)) == 0


def test_the_smallest_margin_comes_first_and_the_next_is_apart() -> None:
    probabilities = np.array([[0.5, 0.5], [0.52, 0.48], [0.6, 0.4], [0.99, 0.01]])
    positions = np.array([[0.0, 0], [1, 1], [500, 500], [900, 900]])
    counts = np.array([10, 10])
    found = question(
        probabilities, positions, known=np.zeros((0, 2)), class_counts=counts, count=3, spacing_px=50.0
    )
    assert found.tolist() == [0, 2, 3]
    labelled = question(
        probabilities, positions, known=np.zeros((1, 2)), class_counts=counts, count=1, spacing_px=50.0
    )
    assert labelled.tolist() == [2]


def test_a_class_with_few_points_is_asked_first() -> None:
    probabilities = np.array([[0.6, 0.4], [0.4, 0.6]])
    positions = np.array([[0.0, 0], [500, 500]])
    found = question(
        probabilities,
        positions,
        known=np.zeros((0, 2)),
        class_counts=np.array([50, 2]),
        count=1,
        spacing_px=10.0,
    )
    assert found.tolist() == [1]
    assert class_deficits(np.array([5, 5])).tolist() == [1, 1]
