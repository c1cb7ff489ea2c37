from dataclasses import replace

import numpy as np
import pytest

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.errors import TrainingError
from geoseg.inference.graphs.layers import LayerPlan, feature_graph
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.reading import FitData, Reader, read_features
from geoseg.learning.heads.quick import cross_validate, fit_quick
from geoseg.learning.normalisation import Normalisation
from geoseg.learning.validation import Sample

READER = Reader(64, 32)


@pytest.fixture
def data(source):
    """Dark land in the west, bright land in the east, with points on both in nine cells."""
    rng = np.random.default_rng(0)
    pixels = np.full((3, 192, 192), 60.0, np.float32)
    pixels[:, :, 96:] = 190
    pixels += rng.normal(0, 12, pixels.shape).astype(np.float32)
    row, col = rng.uniform(2, 189, 60), rng.uniform(2, 189, 60)
    points = make_points("a", row, col, (col >= 96).astype(int))
    return FitData({"a": source(pixels)}, points, Normalisation((125.0,) * 3, (65.0,) * 3), 3)


@pytest.fixture(scope="module")
def extract():
    """The layers of the bundled backbone."""
    return GraphExtractor(feature_graph(LayerPlan(3, 3, (1,), False)))


def logits(extract, probe, data):
    read = read_features(extract, data.points, data, reader=READER)
    return probe.scores(read.values), read.label


def test_a_quick_fit_maps_its_points(data, extract):
    fitted = fit_quick(extract, data, READER, seed=0, progress=NullProgress())

    scores, labels = logits(extract, fitted.probe, data)
    assert (scores.argmax(axis=1) == labels).mean() > 0.9
    assert fitted.loss < 0.5
    assert fitted.unlabelled.shape == (3000, 3)
    held_out = fitted.validation.held_out
    assert (held_out.logits.argmax(1) == held_out.labels).mean() > 0.8


def test_points_in_another_order_give_the_same_map(data, extract):
    one = fit_quick(extract, data, READER, seed=0, progress=NullProgress()).probe
    turned = FitData(data.sources, data.points.take(np.arange(60)[::-1]), data.normalisation, 3)
    other = fit_quick(extract, turned, READER, seed=0, progress=NullProgress()).probe
    (found, _), (expected, _) = (logits(extract, probe, data) for probe in (one, other))
    np.testing.assert_allclose(found, expected, atol=0.05, rtol=0.05)


@pytest.fixture
def tilted(source):
    """Land whose west rises to the east and whose east falls, with the points of each class in one of the two."""
    rng = np.random.default_rng(1)
    saw = np.tile(np.arange(192) % 16, (192, 1)) * 8.0
    saw[:, 96:] = saw[:, 95::-1]
    pixels = (saw + rng.normal(60, 4, (3, 192, 192))).astype(np.float32)
    row, col = rng.uniform(2, 189, 60), rng.uniform(2, 189, 60)
    points = make_points("a", row, col, (col >= 96).astype(int))
    return FitData({"a": source(pixels)}, points, Normalisation((120.0,) * 3, (40.0,) * 3), 3)


def test_points_read_in_every_turn_teach_what_a_turn_does_not_change(tilted, extract):
    """The two halves differ by a half turn alone, so with every view there is nothing to tell them apart by."""
    losses = [
        fit_quick(extract, tilted, replace(READER, views=views), seed=0, progress=NullProgress()).loss
        for views in (1, 8)
    ]
    assert losses[0] < 0.4
    assert losses[1] > 0.6


def test_views_that_look_the_same_change_nothing():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    values = rng.normal(0, 1, (60, 8)) + labels[:, None]
    sample = Sample(values, labels, np.ones(60), np.arange(60) // 4)
    copies = Sample(
        np.tile(values, (3, 1)), np.tile(labels, 3), np.full(180, 1 / 3), np.tile(sample.places, 3)
    )
    one = cross_validate(sample, 2, NullProgress())
    three = cross_validate(copies, 2, NullProgress(), views=3)
    assert three.losses == pytest.approx(one.losses, rel=1e-3)
    assert np.array_equal(three.held_out.labels, one.held_out.labels)


def test_a_held_out_point_counts_once_however_many_views_it_is_read_in():
    """Four views of 24 points are 96 samples of a weight of a quarter, but 24 points are held out."""
    rng = np.random.default_rng(0)
    labels = np.arange(24) % 2
    values = rng.normal(0, 1, (96, 8)) + np.tile(labels, 4)[:, None]
    own = np.where(labels == 1, 0.5, 1.0)  # a point that counts half counts half here too
    sample = Sample(values, np.tile(labels, 4), np.tile(own / 4, 4), np.tile(np.arange(24) // 2, 4))
    held_out = cross_validate(sample, 2, NullProgress(), views=4).held_out
    assert np.bincount(held_out.labels).tolist() == [12, 12]
    assert np.bincount(held_out.labels, held_out.weights).tolist() == [12, 6]


def test_a_class_without_points_is_never_mapped(data, extract):
    probe = fit_quick(extract, data, READER, seed=0, progress=NullProgress()).probe
    assert not (logits(extract, probe, data)[0].argmax(axis=1) == 2).any()


def test_one_class_alone_cannot_be_fitted(data, extract):
    alone = FitData(data.sources, data.points.take(data.points.class_id == 1), data.normalisation, 3)
    with pytest.raises(TrainingError, match="all of one class; expected points of two classes"):
        fit_quick(extract, alone, READER, seed=0, progress=NullProgress())


@pytest.mark.parametrize("labels", [[0, 1], [0, 0, 0]])
def test_too_few_points_to_leave_any_out_are_not_validated(labels):
    labels = np.array(labels)
    sample = Sample(np.eye(len(labels)), labels, np.ones(len(labels)), np.zeros(len(labels), int))
    found = cross_validate(sample, 2, NullProgress())
    assert (found.held_out, found.losses) == (None, {})


@pytest.mark.parametrize(("noise", "least", "most"), [(0.05, 1e-2, 1e-1), (30, 1e-4, 1e-3)])
def test_the_ridge_follows_the_noise(noise, least, most):
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 2
    values = rng.normal(0, noise, (120, 300))
    values[:, 0] += labels
    sample = Sample(values / values.std(0), labels, np.ones(120), np.arange(120) // 4)
    found = cross_validate(sample, 2, NullProgress())
    assert least <= found.inverse_ridge <= most
    assert found.losses[found.inverse_ridge] == min(found.losses.values())


def test_labels_that_alternate_are_cross_validated_in_both_classes():
    """One point per class and tile, more points than are used: every second one would be of one class alone."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], 2600)
    sample = Sample(
        rng.normal(size=(5200, 2)) + 2 * labels[:, None], labels, np.ones(5200), np.arange(5200) // 2
    )
    found = cross_validate(sample, 2, NullProgress())
    assert np.bincount(found.held_out.labels).tolist() == [2500, 2500]


@pytest.fixture
def threads(monkeypatch):
    """Set how many threads there are; they are as before afterwards."""
    return lambda count: monkeypatch.setenv("OMP_NUM_THREADS", str(count))


def test_folds_side_by_side_are_fitted_as_one_after_the_other(threads):
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    values = rng.normal(0, 1, (150, 40)) + 0.3 * labels[:, None]
    sample = Sample(values, labels, np.ones(150), np.arange(150) // 5)
    found = []
    for count in (1, 4):
        threads(count)
        found.append(cross_validate(sample, 3, NullProgress()))
    one, four = found
    assert one.losses == four.losses
    np.testing.assert_array_equal(one.held_out.logits, four.held_out.logits)
