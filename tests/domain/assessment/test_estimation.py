"""Estimates of accuracy and area: published examples, other software, and what they cover in simulations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_score, recall_score

from geoseg.domain.assessment.estimation import estimate_accuracy, estimate_overall
from geoseg.domain.assessment.expansion import ClusterSample, Strata, StratifiedSample

OLOFSSON = np.array([[66, 0, 5, 4], [0, 55, 8, 12], [1, 0, 153, 11], [2, 1, 9, 313]], float)
OLOFSSON_PIXELS = np.array([200_000, 150_000, 3_200_000, 6_450_000], float)


def of_matrix(counts, pixels, pixel_m2=1.0):
    """Estimates of a matrix whose rows are the strata and the map classes."""
    counts, pixels = np.asarray(counts, float), np.asarray(pixels, float)
    row, col = np.nonzero(counts)
    strata = Strata(pixels, pixels * pixel_m2, np.arange(len(counts)))
    sample = StratifiedSample(strata, row, counts[row, col], np.full(len(row), pixel_m2))
    return estimate_accuracy(sample, row, col, classes=counts.shape[1], count=counts[row, col])


def letters(text):
    return np.array(["ABCD".index(letter) for letter in text])


def one_stratum(size, pixels=1e9):
    return StratifiedSample(
        Strata(np.array([pixels]), np.array([pixels]), np.array([-1])),
        np.zeros(size, int),
        np.ones(size),
        np.ones(size),
    )


def test_the_example_of_olofsson_2014_comes_out_to_the_printed_digits():
    found = of_matrix(OLOFSSON, OLOFSSON_PIXELS, 900.0)
    hectares = found.area / 10_000

    assert round(found.overall.estimate[0], 4) == 0.9465
    assert round(found.overall.half_width[0], 4) == 0.0185
    assert found.users.estimate.round(3).tolist() == [0.880, 0.733, 0.927, 0.963]
    assert found.users.half_width.round(3).tolist() == [0.074, 0.101, 0.040, 0.021]
    assert found.producers.estimate.round(3).tolist() == [0.749, 0.847, 0.935, 0.962]
    assert found.producers.half_width.round(3).tolist() == [0.213, 0.254, 0.034, 0.018]
    assert (found.share.estimate * hectares).round().tolist() == [21_158, 11_686, 285_770, 581_386]
    assert (found.share.half_width * hectares).round().tolist() == [6_158, 3_756, 15_510, 16_282]


def test_the_example_of_stehman_2014_comes_out_to_the_printed_digits():
    # Table 2 of the paper: ten pixels in each of four strata of 40,000 to 10,000 pixels.
    stratum = letters("A" * 10 + "B" * 10 + "C" * 10 + "D" * 10)
    mapped = letters("A" * 7 + "BBB" + "A" + "B" * 11 + "C" * 6 + "BB" + "D" * 10)
    reference = letters("AAAAACBABCABBBBBAABBCCCCCDDBBADDDDDDDCCB")
    pixels = np.array([40_000.0, 30_000, 20_000, 10_000])
    sample = StratifiedSample(Strata(pixels, pixels, np.full(4, -1)), stratum, np.ones(40), np.ones(40))

    found = estimate_accuracy(sample, mapped, reference, classes=4)

    assert round(found.overall.estimate[0], 2) == 0.63
    assert round(found.overall.standard_error[0], 4) == 0.0847
    assert round(found.users.estimate[1], 4) == 0.5745
    assert round(found.users.standard_error[1], 4) == 0.1248
    assert round(found.producers.estimate[1], 4) == 0.7941
    assert round(found.producers.standard_error[1], 4) == 0.1166
    assert round(found.share.estimate[0], 2) == 0.35
    assert round(found.share.standard_error[0], 4) == 0.0823
    assert round(found.share.estimate[2], 2) == 0.20
    assert round(found.share.standard_error[2], 4) == 0.0643
    assert round(found.proportions[1, 2], 2) == 0.08


def test_a_simple_random_sample_scores_as_scikit_learn_does():
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 3, 200)
    mapped = np.where(rng.random(200) < 0.8, reference, rng.integers(0, 3, 200))

    found = estimate_accuracy(one_stratum(200), mapped, reference, classes=3)

    overall = accuracy_score(reference, mapped)
    assert found.overall.estimate[0] == pytest.approx(overall)
    assert found.overall.standard_error[0] == pytest.approx(np.sqrt(overall * (1 - overall) / 199))
    assert found.users.estimate == pytest.approx(precision_score(reference, mapped, average=None))
    assert found.producers.estimate == pytest.approx(recall_score(reference, mapped, average=None))


def test_a_pixel_that_is_not_mapped_is_an_error():
    found = estimate_accuracy(one_stratum(4), np.array([0, 1, 255, 255]), np.array([0, 1, 0, 1]), classes=2)

    assert found.overall.estimate[0] == 0.5
    assert found.producers.estimate.tolist() == [0.5, 0.5]
    assert found.users.estimate.tolist() == [1.0, 1.0]
    assert found.counts[-1].tolist() == [1, 1]


def test_a_class_that_no_pixel_has_is_undefined_and_has_no_interval():
    found = of_matrix([[9, 1, 0], [2, 8, 0]], [600, 400])

    assert np.isnan(found.users.estimate[2:]).all()
    assert np.isnan(found.producers.estimate[2])
    assert found.share.estimate[2] == 0
    assert np.isnan(found.share.half_width[2])
    assert np.isfinite(found.share.half_width[:2]).all()


def test_a_stratum_with_a_single_pixel_leaves_no_interval_where_it_counts():
    found = of_matrix([[1, 0], [2, 8]], [600_000, 400_000])

    assert found.overall.estimate[0] == pytest.approx(0.92)
    assert np.isnan(found.overall.half_width[0])
    assert np.isnan(found.users.half_width[0])
    assert found.users.standard_error[1] == pytest.approx(np.sqrt(0.8 * 0.2 / 9))


def test_a_stratum_that_was_sampled_whole_has_no_variance():
    found = of_matrix([[1, 0], [2, 8]], [1, 400_000])

    assert np.isfinite(found.overall.half_width[0])
    assert found.users.half_width[0] == 0


def test_pixels_of_different_area_count_by_their_area():
    # Two strata of 1000 m2; in the first, right pixels are three times as large as wrong ones.
    strata = Strata(np.array([500.0, 500]), np.array([1000.0, 1000]), np.array([0, 1]))
    stratum = np.repeat([0, 1], 4)
    area = np.array([3.0, 3, 1, 1, 2, 2, 2, 2])
    sample = StratifiedSample(strata, stratum, np.ones(8), area)

    found = estimate_accuracy(sample, stratum, np.array([0, 0, 1, 1, 1, 1, 1, 0]), classes=2)

    assert found.users.estimate.tolist() == [0.75, 0.75]
    assert found.share.estimate * found.area == pytest.approx([1000, 1000])


def test_clusters_of_equal_pixels_have_the_variance_of_their_means():
    # Ten clusters of four pixels; each is right or wrong as a whole.
    right = np.array([1, 1, 1, 0, 1, 1, 0, 1, 1, 1])
    sample = ClusterSample(
        cluster=np.repeat(np.arange(10), 4),
        weight=np.full(40, 100.0),
        pixel_area=np.ones(40),
        area=4000.0,
        clusters=1000,
        are_whole=True,
    )

    found = estimate_overall(sample, np.repeat(right, 4).astype(bool))

    assert found.estimate[0] == pytest.approx(0.8)
    assert found.standard_error[0] == pytest.approx(right.std(ddof=1) / np.sqrt(10))
    assert found.half_width[0] / found.standard_error[0] == pytest.approx(2.262, abs=1e-3)


def test_a_single_cluster_has_no_interval():
    sample = ClusterSample(np.zeros(4, int), np.ones(4), np.ones(4), 100.0, 25, are_whole=True)

    found = estimate_overall(sample, np.array([True, True, False, True]))

    assert found.estimate[0] == 0.75
    assert np.isnan(found.half_width[0])


POPULATION = np.array([[400_000, 60_000, 40_000], [50_000, 280_000, 20_000], [14_000, 16_000, 120_000]])
"""Pixels of a map with 80 % accuracy, map class in rows."""


def coverage(draws, *, size):
    """Share of stratified samples whose intervals cover the truth: overall, user's, producer's and area."""
    rng = np.random.default_rng(11)
    total, right = POPULATION.sum(), np.diag(POPULATION)
    truth = (
        np.array([right.sum() / total]),
        right / POPULATION.sum(axis=1),
        right / POPULATION.sum(axis=0),
        POPULATION.sum(axis=0) / total,
    )
    hits = [np.zeros(len(values)) for values in truth]
    for _ in range(draws):
        counts = [rng.multivariate_hypergeometric(row, size) for row in POPULATION]
        found = of_matrix(counts, POPULATION.sum(axis=1))
        for k, one in enumerate((found.overall, found.users, found.producers, found.share)):
            hits[k] += np.abs(one.estimate - truth[k]) <= one.half_width
    return [count / draws for count in hits]


def test_intervals_of_1000_stratified_samples_cover_the_truth():
    for shares in coverage(1000, size=400):
        assert ((shares >= 0.93) & (shares <= 0.97)).all(), shares


def test_intervals_cover_the_truth_where_pixels_differ_in_area():
    rng = np.random.default_rng(0)
    area = np.repeat(np.linspace(1, 3, 200), 300)
    reference = (rng.random(area.size) < 0.4).astype(int)
    # Errors are more frequent where pixels are large, so equal weights would be biased.
    mapped = np.where(rng.random(area.size) < 0.12 * area, 1 - reference, reference)
    pixels = [np.flatnonzero(mapped == k) for k in (0, 1)]
    strata = Strata(
        np.array([len(own) for own in pixels], float),
        np.array([area[own].sum() for own in pixels]),
        np.arange(2),
    )
    truth = np.average(mapped == reference, weights=area), np.average(reference == 1, weights=area)
    hits = np.zeros(2)
    for _ in range(500):
        drawn = np.concatenate([rng.choice(own, 200) for own in pixels])
        sample = StratifiedSample(strata, mapped[drawn], np.ones(400), area[drawn])
        found = estimate_accuracy(sample, mapped[drawn], reference[drawn], classes=2)
        hits += (
            abs(found.overall.estimate[0] - truth[0]) <= found.overall.half_width[0],
            abs(found.share.estimate[1] - truth[1]) <= found.share.half_width[1],
        )

    # Two standard errors of 500 draws around 95 %.
    assert (np.abs(hits / 500 - 0.95) <= 0.02).all(), hits
    assert abs(truth[0] - np.mean(mapped == reference)) > 0.02
