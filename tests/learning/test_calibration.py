import numpy as np
import pytest
import torch

from geoseg.learning.calibration import Calibration, HeldOut, cross_entropy, fit_temperature


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


def _all_right(margin, weights):
    """Return points of two classes that are right by a margin."""
    count = len(weights)
    return HeldOut(np.tile([margin, 0.0], (count, 1)), np.zeros(count, np.int64), np.asarray(weights))


def test_few_points_that_are_all_right_leave_the_temperature_near_1():
    # The likelihood alone has no optimum here: confidence 1 everywhere would fit best.
    # With u = log T, d/du of 5 log(1 + exp(-5 / T)) at T = 1 is 25 / (1 + e^5) = 0.167, and the prior's is 4 u.
    assert fit_temperature(_all_right(5.0, np.ones(5))) == pytest.approx(1 - 0.167 / 4, abs=0.01)


def test_the_temperature_balances_the_points_against_a_prior_on_its_logarithm():
    # 12 points, right by a margin of (ln 2) / 2. At T = 1/2 the other class has probability 1/3, so that the slope of the
    # points' loss by log T is 12 (ln 2) / 3; that of the prior is -(ln 2) / 0.5^2. They cancel.
    assert fit_temperature(_all_right(np.log(2) / 2, np.ones(12))) == pytest.approx(0.5, rel=1e-4)


@pytest.mark.parametrize("weights", [np.full(5, 1000.0), np.full(5, 1 / 8), [1, 1, 1, 1, 1, 0.001]])
def test_weights_count_by_their_ratios(weights):
    expected = fit_temperature(_all_right(2.0, np.ones(5)))
    assert fit_temperature(_all_right(2.0, weights)) == pytest.approx(expected, rel=1e-3)


def test_of_thousands_of_points_the_temperature_is_the_most_likely_one():
    held_out = _held_out([1 / 3] * 3, 4000, factor=3.0)
    temperatures = np.linspace(2.5, 3.5, 1001)
    most_likely = temperatures[np.argmin([cross_entropy(held_out, one) for one in temperatures])]
    assert fit_temperature(held_out) == pytest.approx(most_likely, rel=0.005)


def test_the_lower_of_two_minima_is_found():
    # 2,800 margins m of a thousandth. With u = log T the loss is about -2800 m / 2 e^-u + 2 u^2: it has a minimum near
    # T = 0.45, where it is -2.5, and falls to -28 + 18 at the bound.
    assert fit_temperature(_all_right(0.001, np.ones(2800))) == pytest.approx(1 / 20, rel=0.01)
