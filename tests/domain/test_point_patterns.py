"""How points are spread: near each other, at random, or on a grid."""

from __future__ import annotations

import math

import numpy as np
import pytest

from geoseg.domain.point_patterns import Site, nearest_neighbours, nearest_of_other_class

SQUARE = np.array([[5.0, 5], [5, 15], [15, 5], [15, 15]])


def test_the_index_of_four_points_by_hand() -> None:
    """Neighbours are 10 apart on 400: expected 0.5 * sqrt(400 / 4) + (0.0514 + 0.041 / 2) * 80 / 4 = 6.438."""
    found = nearest_neighbours([Site(SQUARE, area=400, perimeter=80)])
    assert found is not None
    assert found.mean == 10
    assert found.expected == pytest.approx(5 + 1.438)
    assert found.index == pytest.approx(10 / 6.438)
    # Standard error: sqrt(0.0703 * 400 / 16 + 0.037 * 80 * sqrt(400 / 4**5)) = sqrt(1.7575 + 1.85) = 1.89934.
    assert found.z == pytest.approx((10 - 6.438) / math.sqrt(1.7575 + 1.85))


def test_two_rasters_count_together_and_one_with_a_single_point_does_not() -> None:
    site = Site(SQUARE, area=400, perimeter=80)
    alone = Site(np.zeros((1, 2)), area=1e6, perimeter=4e3)
    both = nearest_neighbours([site, alone, site])
    once = nearest_neighbours([site])
    assert both is not None
    assert once is not None
    assert (both.mean, both.expected) == (once.mean, once.expected)
    assert both.z == pytest.approx(once.z * math.sqrt(2))
    assert nearest_neighbours([alone]) is None


def test_random_points_are_called_random_about_nineteen_times_in_twenty() -> None:
    rng = np.random.default_rng(0)
    draws = [nearest_neighbours([Site(rng.uniform(0, 100, (60, 2)), 1e4, 400)]) for _ in range(400)]
    assert np.mean([one.index for one in draws if one]) == pytest.approx(1, abs=0.01)
    assert 0.91 < np.mean([one.pattern == "random" for one in draws if one]) < 0.98


def test_clusters_and_grids_are_named() -> None:
    rng = np.random.default_rng(0)
    clusters = rng.uniform(0, 100, (6, 1, 2)) + rng.normal(0, 1, (6, 10, 2))
    grid = np.stack(np.meshgrid(np.arange(5, 100, 10), np.arange(5, 100, 10)), axis=-1).astype(float)
    patterns = [nearest_neighbours([Site(p.reshape(-1, 2), 1e4, 400)]) for p in (clusters, grid)]
    assert [one.pattern for one in patterns if one] == ["clustered", "regular"]


def test_the_nearest_point_of_another_class() -> None:
    positions = np.array([[0.0, 0], [0, 3], [4, 0], [4, 0.5]])
    assert nearest_of_other_class(positions, np.array([0, 0, 1, 2])).tolist() == [
        *(4, pytest.approx(math.hypot(4, 2.5)), 0.5, 0.5)
    ]
    assert np.isinf(nearest_of_other_class(positions, np.zeros(4, int))).all()
    assert nearest_of_other_class(np.zeros((0, 2)), np.zeros(0, int)).size == 0
