from __future__ import annotations

import numpy as np
import pytest

from geoseg.domain.variograms import correlation_range, fit_range


def test_the_range_of_a_spherical_variogram_is_found():
    lags = np.arange(10.0, 200, 10)
    h = np.minimum(lags / 80, 1)

    assert fit_range(lags, 0.1 + 0.3 * (1.5 * h - 0.5 * h**3), np.ones(19)) == pytest.approx(80, abs=1)


def test_a_flat_or_falling_variogram_has_no_range():
    lags = np.arange(10.0, 200, 10)

    assert fit_range(lags, np.full(19, 0.2), np.ones(19)) is None
    assert fit_range(lags, 0.5 - lags / 1000, np.ones(19)) is None


def test_values_constant_in_squares_have_a_range_of_about_their_side():
    rng = np.random.default_rng(3)
    positions = rng.uniform(0, 400, (600, 2))
    row, col = (positions // 40).astype(int).T

    found = correlation_range(positions, rng.normal(size=(10, 10))[row, col], np.zeros(600, int))

    assert 25 < found < 75


def test_pairs_on_different_rasters_do_not_count():
    positions = np.random.default_rng(0).uniform(0, 9, (20, 2))

    assert correlation_range(positions, np.arange(20.0), np.arange(20)) is None
