import numpy as np
import pytest
from scipy.special import softmax

from geoseg.learning.heads.logistic import fit_linear, fit_probe, standardise


def _blobs(count, features, seed=0):
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 3
    centres = rng.normal(0, 3, (3, features))
    return centres[labels] + rng.normal(0, 1, (count, features)) * 5 + 100, labels


def test_a_fit_in_the_span_of_few_points_is_the_fit_in_all_features():
    features, labels = _blobs(12, 40)
    standard = standardise(features)
    assert standard.coordinates.shape == (12, 12)
    np.testing.assert_allclose(
        standard.coordinates @ standard.axes.T, (features - features.mean(0)) / features.std(0), atol=1e-9
    )

    wide = fit_probe(features, labels, np.ones(12), classes=3, inverse_ridge=0.1)
    # The same points thrice at a third of the weight are more points than features lack.
    many = fit_probe(
        np.tile(features, (4, 1)), np.tile(labels, 4), np.full(48, 0.25), classes=3, inverse_ridge=0.1
    )

    np.testing.assert_allclose(wide.weight, many.weight, atol=2e-3, rtol=0.02)


def test_a_feature_that_does_not_vary_plays_no_part():
    features, labels = _blobs(30, 4)
    features[:, 2] = 7
    probe = fit_probe(features, labels, np.ones(30), classes=3, inverse_ridge=1.0)
    assert np.abs(probe.weight[:, 2]).max() == 0
    assert np.isfinite(probe.scores(features.astype(np.float32))).all()


def test_a_point_of_weight_two_is_two_points():
    features, labels = _blobs(30, 4)
    weights = np.ones(30)
    weights[5] = 2
    every = np.append(np.arange(30), 5)
    # Standardised alike, or the ridge would differ.
    standard = standardise(features)
    twice = fit_probe(standard.coordinates, labels, weights, classes=3, inverse_ridge=0.1)
    values = standard.coordinates[every]
    doubled = fit_probe(values, labels[every], np.ones(31), classes=3, inverse_ridge=0.1)
    at = standard.coordinates.astype(np.float32)
    np.testing.assert_allclose(
        softmax(twice.scores(at), axis=1), softmax(doubled.scores(at), axis=1), atol=0.01
    )


@pytest.mark.parametrize("order", [slice(None, None, -1), np.random.default_rng(1).permutation(60)])
def test_the_order_of_the_points_does_not_matter(order):
    features, labels = _blobs(60, 5)
    one = fit_probe(features, labels, np.ones(60), classes=3, inverse_ridge=0.01)
    other = fit_probe(features[order], labels[order], np.ones(60), classes=3, inverse_ridge=0.01)
    np.testing.assert_allclose(one.weight, other.weight, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_a_fit_from_another_ridge_ends_where_a_fresh_one_does(classes):
    rng = np.random.default_rng(0)
    labels = np.arange(90) % classes
    values = rng.normal(size=(90, 5)) + labels[:, None]
    given = (values, labels, np.ones(90))
    weak = fit_linear(*given, classes=classes + 1, inverse_ridge=1e-3)
    fresh = fit_linear(*given, classes=classes + 1, inverse_ridge=0.3)
    moved = fit_linear(*given, classes=classes + 1, inverse_ridge=0.3, start=weak)
    for one, other in zip(fresh, moved, strict=True):
        np.testing.assert_allclose(one, other, atol=0.03)
