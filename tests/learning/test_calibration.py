from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, softmax

from geoseg.learning.calibration import (
    Calibration,
    HeldOut,
    correct_prior,
    cross_entropy,
    estimate_shares,
    fit_temperature,
    miou_of_shares,
)


def _land(shares, count, seed=0, spread=1.5):
    """Return classes of random pixels, and their exact logits under equal shares: one Gaussian a class."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), count, p=shares)
    value = labels * spread + rng.normal(0, 1, count)
    centres = np.arange(len(shares)) * spread
    return labels, -0.5 * (value[:, None] - centres) ** 2


def _held_out(shares, count, seed=0, factor=1.0):
    labels, logits = _land(shares, count, seed)
    return HeldOut(factor * logits, labels, np.ones(count))


def test_calibrated_logits_are_scaled_and_shifted_class_by_class():
    logits = torch.tensor([[[[2.0]], [[4.0]]]])
    assert Calibration().apply(logits) is logits
    assert Calibration(2.0).apply(logits).flatten().tolist() == [1, 2]
    assert Calibration(2.0, (0.5, -1.0)).apply(logits).flatten().tolist() == [1.5, 1]


def test_the_cross_entropy_is_the_weighted_mean():
    held_out = HeldOut(np.array([[0.0, 0.0], [np.log(3), 0.0]]), np.array([0, 1]), np.array([1.0, 3.0]))
    assert cross_entropy(held_out) == pytest.approx((np.log(2) + 3 * np.log(4)) / 4)


@pytest.mark.parametrize("factor", [0.25, 1.0, 6.0])
def test_the_temperature_undoes_what_was_multiplied(factor):
    held_out = _held_out([1 / 3] * 3, 4000, factor=factor)
    assert fit_temperature(held_out) == pytest.approx(factor, rel=0.1)


def test_the_shares_of_the_land_are_found_without_labels():
    shares = np.array([0.7, 0.25, 0.05])
    _, logits = _land(shares, 40_000)
    found = estimate_shares(softmax(logits, axis=1), np.full(3, 1 / 3))
    np.testing.assert_allclose(found, shares, atol=0.02)
    assert found.sum() == pytest.approx(1)


def test_a_class_without_points_gets_no_share():
    found = estimate_shares(np.array([[0.5, 0.1, 0.4]]), np.array([0.5, 0.0, 0.5]))
    assert found[1] == 0


def test_the_corrected_odds_are_those_of_the_land():
    shares = np.array([0.9, 0.1])
    held_out = _held_out([0.5, 0.5], 4000)
    calibration, report = correct_prior(held_out, 1.0, point_shares=np.array([0.5, 0.5]), land_shares=shares)
    assert report.strength > 0
    expected = report.strength * np.log(shares / 0.5)
    np.testing.assert_allclose(calibration.shift, expected)

    labels, logits = _land(shares, 20_000, seed=1)
    before = log_softmax(logits, axis=1)[np.arange(20_000), labels].mean()
    after = log_softmax(logits + expected, axis=1)[np.arange(20_000), labels].mean()
    assert after > before + 0.05


def test_equal_shares_change_nothing():
    held_out = _held_out([0.5, 0.5], 500)
    shares = np.array([0.5, 0.5])
    calibration, _ = correct_prior(held_out, 1.0, point_shares=shares, land_shares=shares)
    assert calibration.shift == (0.0, 0.0)


@pytest.mark.parametrize(("count", "believed"), [(20, 0), (60, 300 / 360), (3000, 300 / 3300)])
def test_points_that_say_nothing_leave_the_whole_correction_and_many_outweigh_it(count, believed):
    """The maps at all strengths are the same, so the points speak for none of them, which counts as no correction."""
    labels = np.arange(count) % 2
    held_out = HeldOut(np.eye(2)[labels] * 40, labels, np.ones(count))
    _, report = correct_prior(
        held_out, 1.0, point_shares=np.array([0.5, 0.5]), land_shares=np.array([0.9, 0.1])
    )
    assert report.strength == pytest.approx(believed, abs=1e-3)


def test_a_class_that_has_points_has_a_thousandth_of_the_land_at_least():
    held_out = _held_out([0.5, 0.5], 1000)
    calibration, report = correct_prior(
        held_out, 1.0, point_shares=np.array([0.5, 0.5]), land_shares=np.array([1.0, 0.0])
    )
    assert calibration.shift[1] == pytest.approx(report.strength * np.log(0.001 / 0.5))


def test_no_class_that_has_points_can_vanish():
    labels = np.repeat([0, 1], 50)
    # Class 1 is mapped right, but only just: a little less of it, and it is gone.
    logits = np.where(labels[:, None] == np.arange(2), 0.1, 0.0)
    calibration, report = correct_prior(
        HeldOut(logits, labels, np.ones(100)),
        1.0,
        point_shares=np.array([0.5, 0.5]),
        land_shares=np.array([0.999, 0.001]),
    )
    assert report.strength == 0
    assert calibration.shift == (0, 0)


def test_a_class_that_nothing_was_held_out_of_keeps_its_odds():
    held_out = _held_out([0.5, 0.5], 1000)
    three = HeldOut(np.c_[held_out.logits, np.full(1000, -9.0)], held_out.labels, held_out.weights)
    calibration, _ = correct_prior(
        three, 1.0, point_shares=np.array([0.4, 0.4, 0.2]), land_shares=np.array([0.9, 0.1, 0.0])
    )
    assert calibration.shift[2] == 0


def test_the_miou_of_land_weighs_each_class_by_its_share():
    rates = np.array([[0.9, 0.1], [0.2, 0.8]])
    # Of 100 pixels 80 are class 0: 72 right, 8 mapped as 1; of 20 of class 1, 16 right.
    expected = (72 / (80 + 4) + 16 / (20 + 8)) / 2
    assert miou_of_shares(rates, np.array([0.8, 0.2])) == pytest.approx(expected)


def test_the_report_promises_a_score_for_every_strength():
    held_out = _held_out([0.5, 0.5], 300)
    _, report = correct_prior(
        held_out, 1.0, point_shares=np.array([0.5, 0.5]), land_shares=np.array([0.8, 0.2])
    )
    strengths = list(map(float, report.expected_miou))
    assert strengths[0] == 0
    assert all(a < b for a, b in pairwise(strengths))
    assert all(0 < score < 1 for score in report.expected_miou.values())


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_points_and_a_class_that_is_nowhere_give_no_reason_to_correct(count):
    held_out = HeldOut(np.eye(3)[:count] * 40, np.arange(count), np.ones(count))
    _, report = correct_prior(
        held_out, 1.0, point_shares=np.full(3, 1 / 3), land_shares=np.array([1.0, 0.0, 1e-16])
    )
    assert report.strength == 0
