from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage
from sklearn.ensemble import RandomForestClassifier

from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.errors import TrainingError
from geoseg.learning.normalisation import Normalisation
from geoseg.learning.validation import Sample
from geoseg.networks.features.point_features import FitData, Reader, read_logits
from geoseg.networks.features.texture import texture
from geoseg.networks.heads import forest as forests
from geoseg.networks.heads.forest import ForestNetwork, Trees, fit_forest, trees_from_state

READER = Reader(64, 32)


@pytest.fixture
def stump():
    """One tree: feature 0 at most 0.5 is class 0, else class 1."""
    return Trees(
        roots=torch.tensor([0]),
        feature=torch.tensor([0, 0, 0]),
        threshold=torch.tensor([0.5, 0.0, 0.0]),
        left=torch.tensor([1, 1, 2]),
        right=torch.tensor([2, 1, 2]),
        shares=torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]]),
    )


@pytest.fixture
def data(source):
    """Smooth land in the west, rough land of the same mean in the east."""
    rng = np.random.default_rng(0)
    pixels = np.full((3, 192, 192), 100.0, np.float32) + rng.normal(0, 1, (3, 192, 192)).astype(np.float32)
    pixels[:, :, 96:] += rng.normal(0, 30, (3, 192, 96)).astype(np.float32)
    row, col = rng.uniform(2, 189, 80), rng.uniform(2, 189, 80)
    points = make_points("a", row, col, (col >= 96).astype(int))
    return FitData({"a": source(pixels)}, points, Normalisation((100.0,) * 3, (20.0,) * 3), 3)


def test_a_stump_votes_by_its_threshold(stump):
    values = np.zeros((3, 27), np.float32)
    values[:, 0] = 0.4, 0.5, 0.6
    expected = np.array([[1, 0], [1, 0], [0.25, 0.75]]) * 0.998 + 0.001
    np.testing.assert_allclose(ForestNetwork(stump, 3).vote(values), expected, rtol=1e-6)


def test_a_map_of_votes_has_the_places_of_its_pixels(stump):
    images = torch.zeros(2, 3, 4, 5)
    images[1, 0, 2, 3] = 2
    logs = ForestNetwork(stump, 3)(images)
    assert logs.shape == (2, 2, 4, 5)
    assert (logs.argmax(1) == 1).nonzero().tolist() == [[1, 2, 3]]
    torch.testing.assert_close(logs.exp().sum(1), torch.ones(2, 4, 5))


def test_a_forest_votes_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    values, labels = rng.normal(0, 1, (300, 27)).astype(np.float32), rng.integers(0, 3, 300)
    sample = Sample(values, labels, np.ones(300), np.zeros(300, int))
    theirs = RandomForestClassifier(forests.TREES, min_samples_leaf=forests.MIN_SAMPLES_LEAF, random_state=5)
    theirs.fit(values, labels, np.ones(300))
    new = rng.normal(0, 1, (500, 27)).astype(np.float32)

    votes = ForestNetwork(forests._fit(sample, 3, seed=5), 3).vote(new)

    np.testing.assert_allclose(votes, theirs.predict_proba(new) * 0.997 + 0.001, atol=1e-5)


def test_texture_is_the_blurred_bands_and_their_deviations():
    image = np.random.default_rng(0).normal(0, 1, (40, 50)).astype(np.float32)
    maps = texture(torch.from_numpy(image)[None, None])[0].numpy()
    assert maps.shape == (9, 40, 50)
    np.testing.assert_allclose(maps[0], image)
    mean = ndimage.gaussian_filter(image, 2, mode="nearest", radius=6)
    square = ndimage.gaussian_filter(image**2, 2, mode="nearest", radius=6)
    np.testing.assert_allclose(maps[3], mean, atol=1e-5)
    np.testing.assert_allclose(maps[4], np.sqrt(square - mean**2), atol=1e-4)


def test_a_forest_tells_textures_apart(data):
    fitted = fit_forest(data, READER, seed=0, progress=NullProgress())
    read = read_logits(fitted.network, data.points, data, reader=READER)
    assert (read.values.argmax(1) == read.label).float().mean() > 0.95
    assert (fitted.held_out.logits.argmax(1) == fitted.held_out.labels).mean() > 0.9
    assert fitted.unlabelled.shape == (pytest.approx(2000, abs=9), 3)
    assert not (fitted.unlabelled.argmax(1) == 2).any()


@pytest.mark.slow
def test_the_same_seed_grows_the_same_forest(data):
    one, same, other = (
        fit_forest(data, READER, seed=s, progress=NullProgress()).network.state_dict() for s in (1, 1, 2)
    )
    assert torch.equal(one["threshold"], same["threshold"])
    assert not torch.equal(one["threshold"][:100], other["threshold"][:100])


def test_one_class_alone_grows_no_forest(data):
    alone = replace(data, points=data.points.take(data.points.class_id == 1))
    with pytest.raises(TrainingError, match="all of one class"):
        fit_forest(alone, READER, seed=0, progress=NullProgress())


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("left", [0, 1, 2]),
        ("right", [9, 1, 2]),
        ("feature", [27, 0, 0]),
        ("feature", [-1, 0, 0]),
        ("roots", [3]),
        ("roots", [1]),
        ("roots", [0, 1]),
        ("threshold", [0.5, 0.0]),
    ],
)
def test_nodes_that_are_no_trees_are_refused(stump, column, values):
    forged = replace(stump, **{column: torch.tensor(values)})
    with pytest.raises(ValueError, match="do not form trees"):
        ForestNetwork(forged, 3)


def test_the_trees_of_a_state_are_all_or_none(stump):
    state = ForestNetwork(stump, 3).state_dict()
    assert torch.equal(trees_from_state(state).left, stump.left)
    with pytest.raises(ValueError, match="no forest"):
        trees_from_state({"left": stump.left})


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
