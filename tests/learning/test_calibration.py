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
