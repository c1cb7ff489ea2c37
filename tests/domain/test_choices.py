"""Choices do not depend on patterns in the order of the items."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.choices import draws_by_area, stratified_choice


@pytest.mark.parametrize("period", [2, 3, 7])
def test_labels_that_alternate_keep_their_proportions(period):
    strata = np.arange(60_000) % period
    chosen = stratified_choice(strata, 60_000 // period)
    counts = np.bincount(strata[chosen], minlength=period)
    assert np.abs(counts - len(chosen) / period).max() <= 1


@settings(max_examples=20)
@given(st.lists(st.integers(0, 5), max_size=60), st.integers(1, 70), st.integers(0, 100))
def test_a_choice_has_the_size_asked_for_no_item_twice_and_every_class_it_has_room_for(strata, count, seed):
    strata = np.array(strata, int)
    chosen = stratified_choice(strata, count, seed)
    assert len(chosen) == len(set(chosen.tolist())) == min(count, len(strata))
    assert np.array_equal(chosen, np.sort(chosen))
    if count >= len(np.unique(strata)):
        assert set(strata[chosen]) == set(strata)
    assert np.array_equal(chosen, stratified_choice(strata, count, seed))


def test_a_rare_class_keeps_an_item():
    strata = np.append(np.zeros(100_000, int), [1, 2, 2])
    assert set(strata[stratified_choice(strata, 500)]) == {0, 1, 2}


def test_names_are_strata_too_and_a_rectangle_is_not_sampled_by_its_columns():
    """A raster of 256 x 256 windows: 256 of them lie in many columns."""
    chosen = stratified_choice(["a"] * 65_536, 256)
    assert len(np.unique(chosen % 256)) > 120


def test_slivers_are_drawn_by_their_area():
    rng = np.random.default_rng(0)
    drawn = np.array([draws_by_area([65_536, 256 * 44, 44 * 104], 100 / 65_536, rng) for _ in range(2000)])
    np.testing.assert_allclose(drawn.mean(axis=0), [100, 17.1875, 6.982], atol=0.05)
