import numpy as np
import pytest

from geoseg.domain.mapping.prior_shift import PriorShiftedPredictor


class Fixed:
    classes = 3

    def probabilities(self, pixels, valid):
        return np.tile(np.array([0.5, 0.3, 0.2], np.float32)[None, :, None, None], (1, 1, *pixels.shape[-2:]))


def _ask(predictor):
    return predictor.probabilities(np.zeros((1, 3, 2, 2), np.float32), np.ones((1, 2, 2), bool))


def test_odds_are_multiplied_and_probabilities_sum_to_one():
    found = _ask(PriorShiftedPredictor(Fixed(), np.log([1.0, 2.0, 5.0])))
    np.testing.assert_allclose(found[0, :, 1, 1], np.array([0.5, 0.6, 1.0]) / 2.1, rtol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)


def test_alike_factors_change_nothing():
    assert PriorShiftedPredictor(Fixed(), [3.0, 3.0, 3.0]).classes == 3
    np.testing.assert_allclose(_ask(PriorShiftedPredictor(Fixed(), [3.0] * 3)), _ask(Fixed()), rtol=1e-6)


@pytest.mark.parametrize("odds", [[-800.0, 0.0, 0.0], [800.0, 0.0, 0.0]])
def test_extreme_odds_stay_finite(odds):
    found = _ask(PriorShiftedPredictor(Fixed(), odds))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
