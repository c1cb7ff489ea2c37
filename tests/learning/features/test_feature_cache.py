from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from geoseg.domain.points import join_points, make_points
from geoseg.learning.features.extractors import read_at_points
from geoseg.learning.features.feature_cache import FeatureCache
from geoseg.learning.features.reading import FitData, Reader, read_cached_features, read_features
from geoseg.learning.normalisation import Normalisation

READER = Reader(32, 32)


@pytest.fixture
def cache(tmp_path):
    return FeatureCache(tmp_path / "kept", {"a": "a 1", "b": "b 1"}, "one network")


@pytest.fixture
def data(source):
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 96, 96)).astype(np.float32)
    sources = {"a": source(pixels), "b": source(255 - pixels)}
    return FitData(sources, make_points("a", [], [], []), Normalisation((0.0,) * 3, (1.0,) * 3), 2)


def _points(count, seed=0):
    rng = np.random.default_rng(seed)
    names = np.array(["a", "b"])[rng.integers(2, size=count)]
    return make_points(names, rng.uniform(0, 95, count), rng.uniform(0, 95, count), np.arange(count) % 2)


class Maps:
    """Features that count the patches they are made of."""

    def __init__(self):
        self.patches = 0

    def __call__(self, images, at):
        self.patches += len(images)
        layers = [ndimage.uniform_filter(images, (0, 0, 5, 5)), images**2]
        return np.concatenate([read_at_points(layer, at, images.shape[-2:]) for layer in layers], axis=1)


def _same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(vars(one).values(), vars(other).values(), strict=True))


def test_what_is_read_with_a_cache_is_what_is_read_without(data, cache):
    points = _points(40)
    plain = read_features(Maps(), points, data, reader=READER)
    assert _same(read_cached_features(Maps(), points, data, reader=READER, cache=cache), plain)
    assert _same(read_cached_features(Maps(), points, data, reader=READER, cache=cache), plain)


def test_points_that_are_known_cost_nothing_and_new_ones_only_their_own_cell(data, cache):
    points, new = _points(40), make_points("b", [50.0], [50.0], [1])
    read_cached_features(Maps(), points, data, reader=READER, cache=cache)
    again, more = Maps(), Maps()
    read_cached_features(again, points, data, reader=READER, cache=cache)
    assert again.patches == 0
    both = join_points([new, points])
    found = read_cached_features(more, both, data, reader=READER, cache=cache)
    assert more.patches == 1
    assert _same(found, read_features(Maps(), both, data, reader=READER))


@pytest.mark.parametrize("change", [{"rasters": {"a": "a 2", "b": "b 2"}}, {"network": "another"}])
def test_another_raster_or_network_is_read_anew(data, cache, change):
    points = _points(10)
    read_cached_features(Maps(), points, data, reader=READER, cache=cache)
    other = FeatureCache(**{**vars(cache), **change})
    assert not other.find(points).is_known.any()


def test_a_file_cut_short_is_made_anew(data, cache):
    points = _points(10)
    plain = read_cached_features(Maps(), points, data, reader=READER, cache=cache)
    for path in cache.folder.iterdir():
        path.write_bytes(path.read_bytes()[:100])
    assert _same(read_cached_features(Maps(), points, data, reader=READER, cache=cache), plain)
    assert cache.find(points).is_known.all()


def test_a_folder_that_cannot_be_written_to_is_warned_of_and_the_features_are_there(data, tmp_path, cache):
    said = []

    class Watcher:
        def start(self, what, total): ...
        def advance(self, steps=1, note=""): ...
        def say(self, text): ...
        def warn(self, text):
            said.append(text)

    (tmp_path / "kept").write_text("a file where the folder should be")
    points = _points(10)
    found = read_cached_features(Maps(), points, data, reader=READER, cache=cache, progress=Watcher())
    assert _same(found, read_features(Maps(), points, data, reader=READER))
    assert said[0].startswith("Features could not be cached for the next training: ")


def test_the_oldest_files_go_when_there_are_too_many(tmp_path, data):
    points = _points(10)
    small = FeatureCache(tmp_path, {"a": "a 1", "b": "b 1"}, "first", limit_bytes=2500)
    for network in ("first", "second", "third", "fourth", "fifth"):
        read_cached_features(
            Maps(), points, data, reader=READER, cache=FeatureCache(**vars(small) | {"network": network})
        )
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 2500
    assert FeatureCache(**vars(small) | {"network": "fifth"}).find(points).is_known.any()
    assert not small.find(points).is_known.any()
