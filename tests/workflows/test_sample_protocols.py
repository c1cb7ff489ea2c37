"""Simulated people who label: the stored points keep what their protocol promises."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rasterio
from scipy import ndimage

from geoseg.errors import PointsError
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.reading.masks import read_mask
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import SampleSettings
from geoseg.workflows.sample import sample

# Small masks: these warnings are not the subject.
pytestmark = pytest.mark.filterwarnings("ignore:Class .* has fewer than")

NAMES = ("east", "north", "west")


@pytest.fixture
def stored(own_dataset, tmp_path, classes):
    """Draw points and read them back from their file; one file for each draw."""
    infos = {name: describe_raster(own_dataset / "images" / f"{name}.tif") for name in NAMES}
    count = iter(range(100))

    def run(suffix=".gpkg", **options):
        output = tmp_path / f"points-{next(count)}{suffix}"
        sample(SampleSettings(data=own_dataset, output=output, **options))
        return read_points(output, infos, legend=classes).points

    return run


@pytest.fixture
def masks(own_dataset, classes):
    return {name: read_mask(own_dataset / "masks" / f"{name}.tif", classes) for name in NAMES}


def _pixels(points):
    return np.round(points.row).astype(int), np.round(points.col).astype(int)


def _under(points, masks):
    row, col = _pixels(points)
    return np.array([masks[i][r, c] for i, r, c in zip(points.image, row, col, strict=True)])


@pytest.mark.parametrize("margin", [1, 3, 8])
def test_interior_points_have_nothing_but_their_class_within_the_margin(stored, masks, margin):
    points = stored(places="interior", margin=margin, per_class=200)

    assert points.counts(3).tolist() == [600] * 3
    for image, row, col, class_id in zip(points.image, *_pixels(points), points.class_id, strict=True):
        top, left = max(0, row - margin), max(0, col - margin)
        around = masks[image][top : row + margin + 1, left : col + margin + 1]
        assert (around == class_id).all(), (image, row, col)


def test_points_of_any_pixel_come_closer_to_other_classes_than_that(stored, masks):
    points = stored(per_class=200)
    near = 0
    for image, row, col, class_id in zip(points.image, *_pixels(points), points.class_id, strict=True):
        around = masks[image][max(0, row - 3) : row + 4, max(0, col - 3) : col + 4]
        near += bool((around != class_id).any())
    assert near > 20


def test_a_margin_that_leaves_no_pixel_is_refused_and_no_empty_file_stays(own_dataset, tmp_path):
    output = tmp_path / "points.gpkg"
    wide = SampleSettings(data=own_dataset, output=output, places="interior", margin=60)
    with pytest.raises(
        PointsError,
        match=rf"{re.escape(str(own_dataset / 'masks'))}: the masks have no pixel to draw\. Lower the margin",
    ):
        sample(wide)
    assert not output.exists()


def test_masks_that_label_nothing_are_refused(own_dataset, tmp_path):
    for path in (own_dataset / "masks").iterdir():
        with rasterio.open(path, "r+") as mask:
            mask.write(np.full((1, 96, 96), 255, np.uint8))
    with pytest.raises(PointsError, match=r"no pixel to draw\. All their pixels are unlabelled"):
        sample(SampleSettings(data=own_dataset, output=tmp_path / "points.gpkg"))


def _depth(mask, class_id):
    """Distance to the edge of the class (H, W), where the raster ends too."""
    return ndimage.distance_transform_edt(np.pad(mask == class_id, 1))[1:-1, 1:-1]


def test_a_centre_is_the_deepest_pixel_of_its_component(stored, masks):
    points = stored(places="centre", jitter=0, per_class=5)

    # Each class is one component of each image.
    assert points.counts(3).tolist() == [3, 3, 3]
    for image, row, col, class_id in zip(points.image, *_pixels(points), points.class_id, strict=True):
        depth = _depth(masks[image], class_id)
        assert depth[row, col] == depth.max()


def test_a_missed_centre_stays_near_and_in_its_class(stored, masks):
    exact, missed = (stored(places="centre", jitter=jitter, per_class=5) for jitter in (0, 4))

    distance = np.hypot(missed.row - exact.row, missed.col - exact.col)
    assert 0 < distance.max() <= 4 + 1e-6
    assert (_under(missed, masks) == missed.class_id).all()


def test_a_pond_of_nine_pixels_is_labelled_as_often_as_the_lake(own_dataset, stored):
    # Nine pixels of water in the field, beside some 3000 of the lake.
    (own_dataset / "train.txt").write_text("east\n")
    with rasterio.open(own_dataset / "masks" / "east.tif", "r+") as mask:
        mask.write(np.full((1, 3, 3), 2, np.uint8), window=((60, 63), (5, 8)))

    def in_pond(places):
        drawn = [stored(".csv", places=places, per_class=9, split="train", seed=s) for s in range(5)]
        water = [points.take(points.class_id == 2) for points in drawn]
        assert all(len(points) == 9 for points in water)
        return sum(int((points.col < 10).sum()) for points in water)

    # Of 45 points half are expected, four standard deviations wide; of any pixels 0.1.
    assert 11 <= in_pond("component") <= 34
    assert in_pond("pixel") <= 3


@pytest.mark.parametrize(("reach", "suffix"), [(1, ".gpkg"), (3, ".csv"), (3, ".gpkg")])
def test_a_location_error_moves_every_point_by_one_to_so_many_pixels(stored, reach, suffix):
    exact, moved = (stored(suffix, per_class=500, location_error=e, seed=4) for e in (0, reach))

    assert (moved.image == exact.image).all()
    assert (moved.class_id == exact.class_id).all()
    distance = np.hypot(moved.row - exact.row, moved.col - exact.col)
    assert distance.min() >= 1 - 1e-6
    assert distance.max() <= reach + 1e-6
    # Those at the border too, and none off the raster.
    assert (np.minimum(exact.row, exact.col) == 0).sum() > 20
    assert min(moved.row.min(), moved.col.min()) >= 0
    assert max(moved.row.max(), moved.col.max()) <= 95


@pytest.mark.parametrize(("share", "wrong"), [(0.25, 15), (0.1, 6), (0.9, 54)])
def test_exactly_the_share_of_an_images_labels_is_wrong(stored, masks, share, wrong):
    points = stored(per_class=20, wrong_share=share)

    for name in NAMES:
        own = points.on_image(name)
        assert len(own) == 60
        assert int((_under(own, masks) != own.class_id).sum()) == wrong
    assert set(points.class_id.tolist()) == {0, 1, 2}


def test_a_share_of_few_points_is_right_over_many_draws(stored, masks):
    counts = []
    for seed in range(20):
        points = stored(".csv", per_class=1, wrong_share=0.1, seed=seed)
        own = [points.on_image(name) for name in NAMES]
        counts += [int((_under(p, masks) != p.class_id).sum()) for p in own]
    # Of three points 0.3 are expected on each of 60 images: none or one, 18 in all.
    assert set(counts) == {0, 1}
    assert 6 <= sum(counts) <= 32


def test_errors_do_not_change_which_pixels_were_looked_at(stored, masks):
    """A wrong label lies where a right one would."""
    exact, wrong = (stored(places="interior", per_class=20, wrong_share=share) for share in (0.0, 0.5))

    assert np.allclose(exact.row, wrong.row)
    assert np.allclose(exact.col, wrong.col)


@pytest.mark.parametrize("places", ["component", "interior", "centre"])
def test_a_protocol_and_a_seed_are_one_point_file(stored, places):
    options = {"places": places, "location_error": 2, "wrong_share": 0.2, "per_class": 6}
    first, again, other = (stored(seed=seed, **options) for seed in (1, 1, 2))

    assert first.digest() == again.digest() != other.digest()
