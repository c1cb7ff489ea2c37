"""Heads on bands: each separates what it can, its graph computes what it does, and validation finds the best."""

import numpy as np
import pytest
from tests.embeddings import vectors

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.inference.runtimes import onnx_runtime
from geoseg.learning.features.reading import FitData
from geoseg.learning.heads import bands
from geoseg.learning.heads.bands import fit_bands, read_band_features
from geoseg.learning.normalisation import no_normalisation

SIDE, BANDS = 192, 8
HEADS = ("knn", "logistic", "svm", "forest", "mlp")


def data_of(source, images, mask, per_class, seed=0):
    rng = np.random.default_rng(seed)
    chosen = np.concatenate(
        [rng.choice(np.flatnonzero(mask == k), per_class, replace=False) for k in range(3)]
    )
    row, col = np.divmod(chosen, mask.shape[1])
    points = make_points("a", row + 0.3, col - 0.4, mask.ravel()[chosen].astype(int))
    return FitData({"a": source(images)}, points, no_normalisation(len(images)), 4)


def fit(data, head="auto", patch_px=64):
    features = read_band_features(data, seed=0, progress=NullProgress())
    return fit_bands(features, head=head, classes=4, patch_px=patch_px, seed=0, progress=NullProgress())


def accuracy(found, images, mask):
    return (found.head.scores(images.reshape(len(images), -1).T).argmax(axis=1) == mask.ravel()).mean()


@pytest.fixture(scope="module")
def mask():
    return vectors.regions(SIDE, SIDE)


def test_a_point_reads_the_bands_of_its_own_pixel_as_they_are(source, mask):
    images = vectors.linear(mask, 5)
    data = data_of(source, images, mask, 10)
    features = read_band_features(data, seed=0, progress=NullProgress())
    row, col = (np.floor(part + 0.5).astype(int) for part in (features.points.row, features.points.col))
    assert np.array_equal(features.views[0].values, images[:, row, col].T)


@pytest.mark.parametrize("head", HEADS)
def test_the_graph_of_a_head_gives_its_scores_and_never_a_class_without_points(source, mask, head):
    images = vectors.linear(mask, BANDS)
    found = fit(data_of(source, images, mask, 12), head)

    scores = found.head.scores(images[:, :40, :50].reshape(BANDS, -1).T)

    maps = onnx_runtime(found.head.band_graph(), 1)(images[None, :, :40, :50])
    np.testing.assert_allclose(maps[0].reshape(4, -1).T, scores, atol=2e-3)
    assert accuracy(found, images, mask) > 0.9
    assert not (scores.argmax(axis=1) == 3).any()
    assert found.chosen.head == head
    assert list(found.losses) == [head]


@pytest.mark.parametrize(
    ("kind", "best"),
    [("linear", ("logistic", "svm", "mlp")), ("by_angle", ("knn",)), ("nonlinear", ("knn", "mlp", "forest"))],
)
def test_validation_chooses_a_head_that_separates_the_classes(source, mask, kind, best):
    images = getattr(vectors, kind)(mask, 16, **({"noise": 2.0} if kind == "linear" else {}))

    found = fit(data_of(source, images, mask, 30))

    assert found.chosen.head in best
    assert next(iter(found.losses)) == found.chosen.head
    assert set(found.losses) == set(HEADS)
    assert accuracy(found, images, mask) > (0.7 if kind == "linear" else 0.95)


def test_points_in_one_place_give_the_nearest_neighbour_without_a_choice(source, mask):
    images = vectors.linear(mask, BANDS)
    data = data_of(source, images, mask, 12)
    alone = FitData(data.sources, data.points.take(np.array([0, 12])), data.normalisation, 4)
    found = fit(alone)
    assert (found.chosen.head, found.chosen.setting) == ("knn", "k = 1")
    assert found.held_out is None
    assert not found.losses


def test_weights_count_in_every_head(source, mask):
    """Points of the wrong class with a weight near zero change nothing."""
    images = vectors.linear(mask, BANDS)
    data = data_of(source, images, mask, 12)
    features = read_band_features(data, seed=0, progress=NullProgress())
    sample = features.views[0].to_sample(np.zeros(36, np.int64))
    spoilt = sample.take(np.concatenate([np.arange(36), np.arange(36)]))
    spoilt.labels[36:] = (spoilt.labels[36:] + 1) % 3
    spoilt.weights[36:] = 1e-6
    for candidate in bands._candidates("auto", classes=3, points=36, seed=0):
        if candidate.setting not in ("k = 1", "10 trees"):
            right = candidate.fit(sample).scores(sample.values).argmax(axis=1)
            found = candidate.fit(spoilt).scores(sample.values).argmax(axis=1)
            assert (found == right).mean() > 0.95, candidate
