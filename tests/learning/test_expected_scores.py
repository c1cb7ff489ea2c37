"""Scores that held-out points promise for land with given class proportions."""

import numpy as np
import pytest

from geoseg.learning.calibration import HeldOut
from geoseg.learning.expected_scores import ExpectedScores, bootstrap, miou_of_shares

RATES = np.array([[0.9, 0.1], [0.2, 0.8]])


def test_the_miou_of_land_weighs_each_class_by_its_share():
    # Of 100 pixels 80 are class 0: 72 right, 8 mapped as 1; of 20 of class 1, 16 right.
    expected = (72 / (80 + 4) + 16 / (20 + 8)) / 2
    assert miou_of_shares(RATES, np.array([0.8, 0.2])) == pytest.approx(expected)


def test_a_mean_over_the_land_weighs_each_class_by_its_share():
    labels = np.repeat([0, 1], 10)
    mapped = np.array([0] * 9 + [1] + [0] * 2 + [1] * 8)
    held_out = HeldOut(np.eye(2)[mapped], labels, np.ones(20))
    promise = ExpectedScores(mapped, held_out, np.array([0.75, 0.25]))
    is_right = (mapped == labels).astype(float)
    assert promise.mean(is_right, held_out.weights) == pytest.approx(0.75 * 0.9 + 0.25 * 0.8)
    # Where a draw has one class alone, the land is taken to be of it.
    assert promise.mean(is_right, np.repeat([0.0, 1], 10)) == pytest.approx(0.8)


def test_points_of_one_place_are_drawn_together():
    held_out = HeldOut(np.zeros((6, 2)), np.zeros(6, int), np.arange(1.0, 7), np.array([0, 0, 0, 1, 1, 1]))
    for drawn in bootstrap(held_out):
        times = drawn / held_out.weights
        assert len(set(times[:3])) == len(set(times[3:])) == 1
        assert times[0] + times[3] == 2


def test_places_vary_more_than_their_points_would():
    """Two places that are mapped right and wrong: twenty points say no more than two."""
    weights, places = np.ones(20), np.repeat([0, 1], 10)
    is_right = places == 0
    spread = [
        np.std(
            [
                (d * is_right).sum() / d.sum()
                for d in bootstrap(HeldOut(np.zeros((20, 2)), places, weights, at))
            ]
        )
        for at in (None, places)
    ]
    assert spread[1] > 2 * spread[0]
