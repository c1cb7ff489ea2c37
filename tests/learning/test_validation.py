import numpy as np
import pytest

from geoseg.learning.validation import Sample, predict_held_out, spatial_folds


def test_a_place_is_left_out_as_a_whole():
    labels, places = np.arange(60) % 3, np.arange(60) // 6
    for fit, left in spatial_folds(labels, places):
        assert not set(places[fit]) & set(places[left])
    every = np.concatenate([left for _, left in spatial_folds(labels, places)])
    assert sorted(every) == list(range(60))


def test_points_of_a_class_in_one_place_alone_are_fitted_to_in_every_fold():
    labels = np.array([0, 1] * 10 + [2] * 6)
    places = np.append(np.arange(20) // 4, np.full(6, 1))
    folds = spatial_folds(labels, places)
    left = np.concatenate([left for _, left in folds])
    assert sorted(left) == list(range(20))
    assert all({20, 21, 22, 23, 24, 25} <= set(fit) for fit, _ in folds)


def test_the_places_of_points_left_out_stay_with_them():
    labels, places = np.arange(40) % 2, np.arange(40) // 4
    sample = Sample(np.arange(40.0)[:, None], labels, np.ones(40), places)
    held_out = predict_held_out(sample, spatial_folds(labels, places), lambda _, fitted, values: values)
    assert np.array_equal(held_out.places, held_out.logits[:, 0] // 4)


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0]])
def test_too_few_points_make_no_folds(labels):
    assert spatial_folds(np.array(labels), np.zeros(len(labels), int)) is None


def test_points_left_out_are_scored_by_a_fit_that_did_not_see_them():
    labels, places = np.arange(40) % 2, np.arange(40) // 4
    sample = Sample(np.arange(40.0)[:, None], labels, np.arange(40) + 1.0, places)

    def was_seen(_, fitted, values):
        return np.isin(values[:, 0], fitted.values[:, 0])[:, None].astype(float)

    held_out = predict_held_out(sample, spatial_folds(labels, places), was_seen)

    assert held_out.logits.shape == (40, 1)
    assert not held_out.logits.any()
    assert sorted(held_out.weights) == sorted(sample.weights)
