"""Sample size and allocation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geoseg.domain.assessment.allocation import (
    Expected,
    allocate,
    default_minimum,
    expected_standard_error,
    sample_size,
)

OLOFSSON = Expected(np.array([200_000.0, 150_000, 3_200_000, 6_450_000]), np.array([0.7, 0.6, 0.9, 0.95]))


def test_the_sample_size_of_olofsson_2014_is_641():
    assert sample_size(OLOFSSON, 0.01) == 641


def test_a_small_population_needs_fewer_pixels():
    # n = 0.25 / (0.05^2 + 0.25 / 100) = 50.
    assert sample_size(Expected(np.array([100.0]), np.array([0.5])), 0.05) == 50


def test_neyman_reaches_the_standard_error_that_the_size_is_for():
    sizes = allocate(OLOFSSON, 641, "neyman", minimum=2)

    assert sizes.sum() == 641
    assert expected_standard_error(OLOFSSON, sizes) == pytest.approx(0.01, abs=1e-4)


def test_allocations_divide_a_sample_as_their_names_say():
    pixels = Expected(np.array([1000.0, 3000, 6000]), np.array([0.8, 0.8, 0.5]))

    assert allocate(pixels, 100, "proportional", minimum=2).tolist() == [10, 30, 60]
    assert allocate(pixels, 99, "equal", minimum=2).tolist() == [33, 33, 33]
    # 1000 x 0.4, 3000 x 0.4 and 6000 x 0.5 are as 4 to 12 to 30.
    assert allocate(pixels, 92, "neyman", minimum=2).tolist() == [8, 24, 60]


def test_a_minimum_is_taken_from_the_other_strata():
    pixels = Expected(np.array([100.0, 2900, 7000]), np.array([0.8, 0.8, 0.8]))

    assert allocate(pixels, 100, "proportional", minimum=20).tolist() == [20, 23, 57]


def test_a_stratum_never_gets_more_than_its_pixels():
    pixels = Expected(np.array([5.0, 5000, 5000]), np.array([0.8, 0.8, 0.8]))

    assert allocate(pixels, 105, "equal", minimum=2).tolist() == [5, 50, 50]
    assert allocate(pixels, 99_999, "equal", minimum=2).tolist() == [5, 5000, 5000]


def test_the_usual_minimum_leaves_at_least_half_of_a_sample_to_the_allocation():
    assert default_minimum(1000, 4) == 50
    assert default_minimum(100, 5) == 10
    assert default_minimum(4, 5) == 2


@given(
    pixels=st.lists(st.integers(1, 10_000), min_size=1, max_size=8),
    size=st.integers(1, 5000),
    minimum=st.integers(0, 100),
    allocation=st.sampled_from(["proportional", "equal", "neyman"]),
)
def test_any_allocation_keeps_its_limits_and_its_sum(pixels, size, minimum, allocation):
    expected = Expected(np.array(pixels, float), np.linspace(0.5, 1, len(pixels)))
    least = np.minimum(minimum, pixels)

    sizes = allocate(expected, size, allocation, minimum=minimum)

    assert (sizes >= least).all()
    assert (sizes <= pixels).all()
    assert sizes.sum() == np.clip(size, least.sum(), sum(pixels))
