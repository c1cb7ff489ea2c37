"""Draws: every pixel of the population has the probability that the sample records, wherever the windows end."""

from __future__ import annotations

import numpy as np

from geoseg.domain.assessment.drawing import (
    Clusters,
    draw_clusters,
    draw_simple,
    draw_stratified,
    draw_systematic,
    systematic_steps,
)
from geoseg.domain.assessment.population import Part, count_population
from geoseg.domain.windows import grid

CLASSES = np.zeros((12, 18), np.uint8)
CLASSES[:, 9:] = 1
CLASSES[:3, :6] = 255
TRAINED = (4, 4)
DRAWS = 300


def parts(size=6):
    for window in grid(*CLASSES.shape, size):
        rows, cols = (
            slice(window.row, window.row + window.height),
            slice(window.col, window.col + window.width),
        )
        ids = CLASSES[rows, cols]
        is_drawable = ids != 255
        row, col = TRAINED[0] - window.row, TRAINED[1] - window.col
        if 0 <= row < window.height and 0 <= col < window.width:
            is_drawable[row, col] = False
        yield Part(window, ids, ids, is_drawable, np.full((1, 1), 4.0))


POPULATION = count_population(parts(), 3)


def frequencies(draw, draws=DRAWS):
    """How often each pixel is drawn, and the mean of the inclusion probabilities that the draws record for it."""
    found, told = np.zeros(CLASSES.shape), np.zeros(CLASSES.shape)
    for seed in range(draws):
        drawn = draw(np.random.default_rng(seed))
        found[drawn.row, drawn.col] += 1
        told[drawn.row, drawn.col] += drawn.inclusion_probability
    return found / draws, np.divide(told, found, out=np.zeros_like(told), where=found > 0)


def check_probabilities(draw):
    found, told = frequencies(draw)
    is_member = CLASSES != 255
    is_member[TRAINED] = False
    assert (found[~is_member] == 0).all()
    # Four standard errors of a frequency.
    error = np.sqrt(told * (1 - told) / DRAWS)
    assert (np.abs(found - told)[is_member] <= 4 * error[is_member] + 1e-9).all()


def test_a_population_counts_pixels_areas_and_what_may_be_drawn():
    assert POPULATION.pixels[:2].tolist() == [90, 108]
    assert POPULATION.drawable[:2].tolist() == [89, 108]
    assert POPULATION.m2[:2].tolist() == [360.0, 432.0]
    # 4 x 6 blocks of 3 x 3 pixels; two blocks are nodata.
    assert POPULATION.clusters == 22


def test_stratified_draws_have_their_sizes_and_probabilities():
    sizes = np.zeros(255, np.int64)
    sizes[:2] = 10, 5
    drawn = draw_stratified(parts(), POPULATION, sizes, rng=np.random.default_rng(1))

    assert np.bincount(drawn.stratum_id).tolist() == [10, 5]
    assert len(set(zip(drawn.row.tolist(), drawn.col.tolist(), strict=True))) == 15
    assert (CLASSES[drawn.row, drawn.col] == drawn.class_id).all()
    assert np.unique(drawn.inclusion_probability).tolist() == [5 / 108, 10 / 89]
    check_probabilities(lambda rng: draw_stratified(parts(), POPULATION, sizes, rng=rng))


def test_simple_draws_have_their_size_and_probabilities():
    assert len(draw_simple(parts(), POPULATION, 20, rng=np.random.default_rng(1))) == 20
    check_probabilities(lambda rng: draw_simple(parts(), POPULATION, 20, rng=rng))


def test_systematic_draws_form_a_grid_with_a_random_start():
    drawn = draw_systematic(parts(5), (4, 3), np.random.default_rng(1))

    assert len(np.unique(drawn.row % 4)) == len(np.unique(drawn.col % 3)) == 1
    assert systematic_steps(POPULATION, 16) == (3, 4)
    check_probabilities(lambda rng: draw_systematic(parts(5), (4, 3), rng))


def test_clusters_are_whole_blocks_with_their_probability():
    drawn = draw_clusters(parts(), POPULATION, Clusters(3, 4, None), rng=np.random.default_rng(1))

    assert np.unique(drawn.cluster).tolist() == [1, 2, 3, 4]
    for cluster in range(1, 5):
        own = drawn.cluster == cluster
        assert len(set(zip(drawn.row[own] // 3, drawn.col[own] // 3, strict=True))) == 1
    check_probabilities(lambda rng: draw_clusters(parts(), POPULATION, Clusters(3, 4, None), rng=rng))


def test_some_pixels_of_each_cluster_have_the_product_of_two_probabilities():
    drawn = draw_clusters(parts(), POPULATION, Clusters(3, 11, 2), rng=np.random.default_rng(1))

    assert np.bincount(drawn.cluster)[1:].tolist() == [2] * 11
    assert set(np.round(drawn.inclusion_probability, 9)) <= {round(0.5 * 2 / 9, 9), round(0.5 * 2 / 8, 9)}
    check_probabilities(lambda rng: draw_clusters(parts(), POPULATION, Clusters(3, 11, 2), rng=rng))
