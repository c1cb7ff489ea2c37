from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.errors import TrainingError
from geoseg.inference.graphs.texture import texture_graph
from geoseg.inference.graphs.trees import forest_graph
from geoseg.inference.runtimes import onnx_session
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.reading import FitData, Reader, read_features
from geoseg.learning.heads.forest import fit_forest
from geoseg.learning.normalisation import Normalisation

READER = Reader(64, 32)


@pytest.fixture
def data(source):
    """Smooth land in the west, rough land of the same mean in the east."""
    rng = np.random.default_rng(0)
    pixels = np.full((3, 192, 192), 100.0, np.float32) + rng.normal(0, 1, (3, 192, 192)).astype(np.float32)
    pixels[:, :, 96:] += rng.normal(0, 30, (3, 192, 96)).astype(np.float32)
    row, col = rng.uniform(2, 189, 80), rng.uniform(2, 189, 80)
    points = make_points("a", row, col, (col >= 96).astype(int))
    return FitData({"a": source(pixels)}, points, Normalisation((100.0,) * 3, (20.0,) * 3), 3)


def test_texture_is_the_blurred_bands_and_their_deviations():
    image = np.random.default_rng(0).normal(0, 1, (40, 48)).astype(np.float32)
    fine, *coarse = onnx_session(texture_graph(1), 1)(image[None, None])
    assert [layer.shape[1:] for layer in (fine, *coarse)] == [(5, 40, 48), (2, 20, 24), (2, 10, 12)]
    np.testing.assert_allclose(fine[0, 0], image)
    mean = ndimage.gaussian_filter(image, 2, mode="nearest", radius=6)
    square = ndimage.gaussian_filter(image**2, 2, mode="nearest", radius=6)
    np.testing.assert_allclose(fine[0, 3], mean, atol=1e-5)
    np.testing.assert_allclose(fine[0, 4], np.sqrt(square - mean**2), atol=1e-4)


def test_coarse_texture_is_that_of_gaussians_of_4_and_8_px():
    """A bright pixel in 256 x 256 px, whose blur is the Gaussian itself."""
    image = np.zeros((256, 256), np.float32)
    image[128, 128] = 1
    _, *coarse = onnx_session(texture_graph(1), 1)(image[None, None])
    for layer, blur, stride in zip(coarse, (4, 8), (2, 4), strict=True):
        across = np.arange(256 // stride) * stride + (stride - 1) / 2 - 128
        weight = layer[0, 0].astype(np.float64)
        assert weight.sum() * stride**2 == pytest.approx(1, abs=1e-4)
        variance = (weight.sum(axis=0) * across**2).sum() / weight.sum()
        assert np.sqrt(variance) == pytest.approx(blur, rel=0.03)


def test_a_forest_tells_textures_apart_and_its_graph_gives_the_same_votes(data, all_trees):
    fitted = fit_forest(data, READER, seed=0, progress=NullProgress())

    features = read_features(GraphExtractor(texture_graph(3)), data.points, data, reader=READER)
    found = read_features(GraphExtractor(forest_graph(fitted.trees, 3)), data.points, data, reader=READER)
    assert (found.values.argmax(axis=1) == features.label).mean() > 0.95
    assert (fitted.held_out.logits.argmax(1) == fitted.held_out.labels).mean() > 0.9
    assert fitted.unlabelled.shape == (3000, 3)
    assert not (fitted.unlabelled.argmax(1) == 2).any()


@pytest.mark.slow
def test_the_same_seed_grows_the_same_forest(data):
    one, same, other = (
        np.concatenate(
            [tree.threshold for tree in fit_forest(data, READER, seed=s, progress=NullProgress()).trees]
        )
        for s in (1, 1, 2)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one[:100], other[:100])


def test_one_class_alone_grows_no_forest(data):
    alone = replace(data, points=data.points.take(data.points.class_id == 1))
    with pytest.raises(TrainingError, match="all of one class"):
        fit_forest(alone, READER, seed=0, progress=NullProgress())


@pytest.mark.parametrize("each", [1, 2])
def test_points_that_no_tree_can_tell_apart_are_refused(data, each):
    """Leaves have three points at least, so five points or fewer make no two leaves."""
    positions = np.concatenate([np.flatnonzero(data.points.class_id == k)[:each] for k in (0, 1)])
    few = FitData(data.sources, data.points.take(positions), data.normalisation, 3)
    with pytest.raises(
        TrainingError, match=r"too few for a random forest.*at least 6 points.*got \d points of 2 classes"
    ):
        fit_forest(few, READER, seed=0, progress=NullProgress())


def test_a_raster_that_is_the_same_everywhere_is_not_taken_for_too_few_points(data):
    grey = {
        name: replace(source, pixels=np.full_like(source.pixels, 100))
        for name, source in data.sources.items()
    }
    alike = FitData(grey, data.points, data.normalisation, 3)
    with pytest.raises(
        TrainingError, match=r"no tree can tell the classes apart.*the same values at all points"
    ):
        fit_forest(alike, READER, seed=0, progress=NullProgress())
