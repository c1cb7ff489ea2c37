"""Sample: points drawn once, the same for the same seed, and what was rare is said."""

from __future__ import annotations

from collections import Counter

import pytest

from geoseg.errors import GeoSegWarning
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import SampleSettings
from geoseg.workflows.sample import sample


@pytest.fixture
def draw(dataset, tmp_path):
    def run(name="points.csv", **options):
        return sample(SampleSettings(data=dataset, output=tmp_path / name, **options))

    return run


def test_the_same_seed_draws_the_same_points_and_another_seed_others(draw):
    first, again, other = draw("1.csv", seed=4), draw("2.csv", seed=4), draw("3.csv", seed=5)

    assert first.points.digest() == again.points.digest() != other.points.digest()


def test_a_split_draws_on_its_images_as_a_draw_on_all_does(draw):
    whole, north = draw("1.csv"), draw("2.csv", split="test")

    assert set(north.points.image) == {"north"}
    assert north.points.digest() == whole.points.on_image("north").digest()


@pytest.mark.parametrize(("scope", "count"), [(None, 9), ("image", 9), ("total", 3)])
def test_the_budget_counts_per_image_or_in_total(draw, scope, count):
    assert draw(per_class=3, scope=scope).points.counts(3).tolist() == [count] * 3


def test_with_a_tile_the_budget_counts_per_tile(draw):
    points = draw(per_class=3, tile=48, split="test").points

    tiles = zip(
        (points.row // 48).tolist(), (points.col // 48).tolist(), points.class_id.tolist(), strict=True
    )
    assert set(Counter(tiles).values()) == {3}
    assert points.counts(3).min() >= 6  # each class lies in two tiles at least


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".csv"])
def test_the_file_holds_what_was_drawn(draw, dataset, classes, suffix):
    result = draw(f"points{suffix}", split="train")

    infos = {n: describe_raster(dataset / "images" / f"{n}.tif") for n in ("east", "west")}
    stored = read_points(result.output, infos, legend=classes)
    assert stored.points.digest() == result.points.digest()
    assert stored.dropped.counts() == {}


def test_every_labelled_pixel_may_be_drawn_and_no_other(draw):
    with pytest.warns(GeoSegWarning, match="All of them were drawn"):
        points = draw(per_class=9000).points

    assert len(points) == 3 * (96 * 96 - 12 * 20)
    assert not ((points.row < 12) & (points.col < 20)).any()


def test_a_place_with_fewer_pixels_than_asked_for_is_told(draw):
    with pytest.warns(GeoSegWarning, match="fewer than 3000 pixels to label in 1 place"):
        shortages = draw(per_class=3000, split="test").shortages

    assert {(s.image, s.class_id, s.asked) for s in shortages} >= {("north", 0, 3000)}
    assert all(s.found < 3000 for s in shortages)
