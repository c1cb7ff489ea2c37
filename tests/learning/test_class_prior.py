"""Class proportions are estimated, and odds corrected, as far as held-out points support it."""

from itertools import pairwise

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

from geoseg.learning.calibration import HeldOut
from geoseg.learning.class_prior import (
    ClassProportions,
    correct_prior,
    estimate_point_weight,
    estimate_shares,
    prevent_vanishing_classes,
    prior_shift,
)

HALVES = np.array([0.5, 0.5])


def land(shares, count, *, points=None, seed=0, spread=1.5):
    """Return classes of random pixels, and their exact logits under the points' shares (equal ones): one Gaussian a class."""
    rng = np.random.default_rng(seed)
    labels = rng.choice(len(shares), count, p=shares)
    value = labels * spread + rng.normal(0, 1, count)
    logits = -0.5 * (value[:, None] - np.arange(len(shares)) * spread) ** 2
    return labels, logits if points is None else logits + np.log(points)


def held(shares, count, *, seed=1, spread=1.5):
    labels, logits = land(shares, count, points=shares, seed=seed, spread=spread)
    return HeldOut(logits, labels, np.ones(count))


def correct(held_out, shares, point_shares=HALVES, **options):
    return correct_prior(
        held_out, 1.0, point_shares=np.array(point_shares), land=ClassProportions(np.array(shares)), **options
    )


# Shares


def test_the_shares_of_the_land_are_found_without_labels():
    shares = np.array([0.7, 0.25, 0.05])
    _, logits = land(shares, 40_000)
    found = estimate_shares(softmax(logits, axis=1), np.full(3, 1 / 3))
    np.testing.assert_allclose(found, shares, atol=0.02)
    assert found.sum() == pytest.approx(1)


def test_the_weight_of_the_points_draws_the_shares_towards_theirs():
    shares, own = np.array([0.8, 0.2]), np.array([0.4, 0.6])
    _, logits = land(shares, 20_000, points=own, spread=9)
    found = [estimate_shares(softmax(logits, axis=1), own, point_weight=w)[0] for w in (0, 0.25, 1)]
    # Classes this far apart are told apart without a doubt, so a quarter of 0.4 joins three quarters of 0.8.
    assert found == pytest.approx([0.8, 0.7, 0.4], abs=0.01)


def test_a_class_without_points_gets_no_share():
    found = estimate_shares(np.array([[0.5, 0.1, 0.4]]), np.array([0.5, 0.0, 0.5]))
    assert found[1] == 0


def test_a_class_with_points_has_a_thousandth_of_the_land_at_least():
    found = estimate_shares(np.array([[1 - 1e-12, 1e-12]] * 50), HALVES)
    assert found[1] == pytest.approx(0.001, rel=0.01)
    assert found.sum() == pytest.approx(1)


def test_points_that_are_a_random_sample_of_the_land_keep_their_shares():
    shares = np.array([0.02, 0.28, 0.7])
    _, logits = land(shares, 5000, points=shares)
    weights = [estimate_point_weight(held(shares, 200, seed=s), logits, 1.0) for s in range(20)]
    assert np.mean(np.array(weights) == 1) >= 0.8
    assert min(weights) > 0.3


@pytest.mark.parametrize(("count", "most"), [(60, 0.25), (600, 0.03)])
def test_points_drawn_by_class_lose_their_weight_the_more_of_them_there_are(count, most):
    _, logits = land([0.85, 0.1, 0.05], 5000)
    weights = [estimate_point_weight(held(np.full(3, 1 / 3), count, seed=s), logits, 1.0) for s in range(10)]
    assert np.mean(weights) < most


def test_points_of_one_place_say_nothing_of_the_land():
    held_out = held(np.full(3, 1 / 3), 60)
    alone = HeldOut(held_out.logits, held_out.labels, held_out.weights, np.zeros(60, int))
    assert estimate_point_weight(alone, land([0.85, 0.1, 0.05], 5000)[1], 1.0) == 1


# Odds


def test_the_corrected_odds_are_those_of_the_land_and_the_map_gains():
    shares = np.array([0.9, 0.1])
    held_out = held(HALVES, 4000)
    calibration, report = correct(held_out, shares)
    assert report.strength >= 0.5
    trust = np.array(report.trust)
    np.testing.assert_allclose(calibration.shift, report.strength * trust * np.log(shares / 0.5), rtol=1e-3)

    labels, logits = land(shares, 20_000, seed=2)
    before = log_softmax(logits, axis=1)[np.arange(20_000), labels].mean()
    after = log_softmax(logits + calibration.shift, axis=1)[np.arange(20_000), labels].mean()
    assert after > before + 0.05


def test_equal_shares_change_nothing():
    calibration, _ = correct(held(HALVES, 500), HALVES)
    assert calibration.shift == (0.0, 0.0)


def test_shares_that_are_the_points_own_change_nothing():
    held_out = held(HALVES, 500)
    land_ = ClassProportions(np.array([0.5, 0.5]), 1.0)
    calibration, report = correct_prior(held_out, 1.0, point_shares=HALVES, land=land_)
    assert (report.strength, calibration.shift) == (0, (0, 0))


def test_without_a_gain_there_is_no_correction_unless_the_shares_are_stated():
    """The maps at all strengths are the same."""
    labels = np.arange(60) % 2
    held_out = HeldOut(np.eye(2)[labels] * 40, labels, np.ones(60))
    assert correct(held_out, [0.9, 0.1])[1].strength == 0
    stated = correct(held_out, [0.9, 0.1], is_stated=True)[1]
    assert (stated.strength, stated.trust) == (pytest.approx(300 / 360, abs=1e-3), (1, 1))


def test_a_gain_within_its_standard_error_is_no_gain():
    """A place of each class, and probabilities of a half: the gain of one class is the loss of the other.

    Half of the draws have one place alone, and gain or lose 0.2 nats or so.
    """
    labels = np.repeat([0, 1], 50)
    held_out = HeldOut(np.zeros((100, 2)), labels, np.ones(100), labels)
    _, report = correct(held_out, [0.6, 0.4])
    assert report.strength == 0
    gain, error = report.gain.log_likelihood
    assert abs(gain) < 0.05 < error


def test_few_points_of_a_class_support_a_part_of_its_correction():
    """Three points and a belief of two: three fifths."""
    labels = np.array([0] * 98 + [1] * 3)
    held_out = HeldOut(np.eye(2)[labels], labels, np.ones(101))
    _, report = correct(held_out, [0.5, 0.5], [0.97, 0.03])
    assert report.trust == (pytest.approx(98 / 100), pytest.approx(3 / 5))


@pytest.mark.parametrize(
    ("weight", "trust"),
    [(1.0, 3 / 5), (50.0, 3 / 5), (1 / 3, 1 / 3), (0.0, 0)],
    ids=["points", "points of a large weight", "three points of one polygon", "points without a weight"],
)
def test_a_label_counts_once_whatever_its_weight(weight, trust):
    """n labels support n / (n + 2): three points are three labels, a polygon of three points is one."""
    labels = np.array([0] * 98 + [1] * 3)
    held_out = HeldOut(np.eye(2)[labels], labels, np.where(labels == 1, weight, 1.0))
    _, report = correct(held_out, [0.5, 0.5], [0.97, 0.03])
    assert report.trust == (pytest.approx(98 / 100), pytest.approx(trust, abs=1e-4))


def test_no_odds_change_by_more_than_twenty_times():
    shift = prior_shift(np.array([0.001, 0.999]), np.array([0.5, 0.5]), trust=np.ones(2), strength=1.0)
    assert shift[0] == pytest.approx(np.log(20))
    shift = prior_shift(np.array([0.5, 0.5]), np.array([1, 1e-60]), trust=np.ones(2), strength=0.5)
    assert shift[1] == pytest.approx(-0.5 * np.log(20))


def test_a_class_that_nothing_was_held_out_of_keeps_its_odds():
    held_out = held(HALVES, 1000)
    three = HeldOut(np.c_[held_out.logits, np.full(1000, -9.0)], held_out.labels, held_out.weights)
    calibration, _ = correct(three, [0.9, 0.1, 0.0], [0.4, 0.4, 0.2])
    assert calibration.shift[2] == 0


def test_a_correction_that_costs_a_class_half_of_its_points_is_not_made():
    labels = np.repeat([0, 1], 50)
    # Class 1 is mapped right, but only just: a little less of it, and it is gone.
    logits = np.where(labels[:, None] == np.arange(2), 0.1, 0.0)
    calibration, report = correct(HeldOut(logits, labels, np.ones(100)), [0.999, 0.001], is_stated=True)
    assert report.strength == 0
    assert calibration.shift == (0, 0)


def test_a_class_that_would_vanish_from_the_map_keeps_a_twentieth_of_its_pixels():
    """Class 1 has 40 pixels, surer and surer: from 0.05 to 2. A shift of -3 would take all of them."""
    logits = np.zeros((100, 2))
    logits[:60, 0] = 1
    logits[60:, 1] = np.linspace(0.05, 2, 40)
    kept = prevent_vanishing_classes(np.array([0.0, -3.0]), logits)
    # In steps of 0.15, -1.95 leaves one pixel, -1.8 the four from 1.85 on: two are needed.
    np.testing.assert_allclose(kept, [0, -1.8])
    assert np.array_equal(prevent_vanishing_classes(np.array([0.0, -1.0]), logits), [0, -1])


def test_what_kept_a_class_on_the_map_is_reported():
    held_out = held(HALVES, 2000)
    unlabelled = np.array([[3.0, 0.0]] * 95 + [[0.0, 0.1]] * 5)
    calibration, report = correct(held_out, [0.95, 0.05], unlabelled=unlabelled)
    assert report.weakened == (1,)
    assert ((unlabelled + calibration.shift).argmax(axis=1) == 1).any()


def test_the_report_promises_a_score_for_every_strength():
    _, report = correct(held(HALVES, 300), [0.8, 0.2])
    strengths = list(map(float, report.expected_miou))
    assert strengths[0] == 0
    assert all(a < b for a, b in pairwise(strengths))
    assert all(0 < score < 1 for score in report.expected_miou.values())


@pytest.mark.parametrize("count", [1, 3])
def test_a_few_points_and_a_class_that_is_nowhere_give_no_reason_to_correct(count):
    held_out = HeldOut(np.eye(3)[:count] * 40, np.arange(count), np.ones(count))
    _, report = correct(held_out, [1.0, 0.0, 1e-16], np.full(3, 1 / 3))
    assert report.strength == 0
