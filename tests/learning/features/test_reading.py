import numpy as np
import pytest
from scipy import ndimage

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import join_points, make_points
from geoseg.learning.features.extractors import read_at_points
from geoseg.learning.features.patches import Orientation
from geoseg.learning.features.reading import (
    FitData,
    Reader,
    draw_unlabelled,
    read_augmented,
    read_features,
    read_labelled_and_unlabelled,
    sort_by_cell,
    subsample_points,
)
from geoseg.learning.normalisation import Normalisation

NORMAL = Normalisation((0.0,), (1.0,))


@pytest.fixture
def data(source):
    """A raster of 70 x 100 whose value is 100 times the row plus the column; its last row is not valid."""
    pixels = (100.0 * np.arange(70)[:, None] + np.arange(100)).astype(np.float32)
    mask = np.ones((70, 100), bool)
    mask[-1] = False
    return FitData({"a": source(pixels[None], mask)}, make_points("a", [], [], []), NORMAL, 2)


def _at(images, at):
    """Values (P, B) of whole pixels and their neighbours, read bilinearly."""
    return read_at_points(images, at, images.shape[-2:])


def _same(images, at):
    return np.concatenate([_at(images, at), _at(2 * images, at)], axis=1)


@pytest.mark.parametrize("margin", [0, 32])
def test_maps_are_read_at_the_points_in_the_order_of_the_cells(data, margin):
    points = make_points("a", [40.5, 3.0, 2.25], [70.0, 40.0, 1.0], [1, 0, 1])

    read = read_features(_same, points, data, reader=Reader(32, margin, batch=2))

    np.testing.assert_allclose(read.values, [[226.0, 452], [340, 680], [4120, 8240]])
    assert read.label.tolist() == [1, 0, 1]
    assert sort_by_cell(points, 32).row.tolist() == [2.25, 3.0, 40.5]
    assert read.valid.all()


def test_points_off_the_valid_pixels_are_known(data):
    points = make_points("a", [68.4, 69.0], [5.0, 5.0], [0, 0])
    assert read_features(_same, points, data, reader=Reader(32)).valid.tolist() == [True, False]


def test_what_is_read_does_not_depend_on_the_batch(data):
    rng = np.random.default_rng(0)
    points = make_points("a", rng.uniform(0, 69, 40), rng.uniform(0, 99, 40), [0] * 40)
    one, all_ = (read_features(_same, points, data, reader=Reader(32, batch=n)) for n in (1, 100))
    np.testing.assert_allclose(one.values, all_.values)


def test_context_reaches_the_points_at_the_border_of_a_cell(data):
    def mean(images, at):
        return _at(ndimage.uniform_filter(images, (0, 0, 3, 3), mode="constant"), at)

    points = make_points("a", [31.0], [31.0], [0])
    assert read_features(mean, points, data, reader=Reader(32, 32)).values.item() == 3131


def test_turned_points_are_read_where_they_lie_and_in_the_same_order(data):
    rng = np.random.default_rng(0)
    points = make_points("a", rng.uniform(0, 68, 40), rng.uniform(0, 99, 40), np.arange(40) % 2)
    data = FitData(data.sources, points, NORMAL, 2)
    plain, _ = read_labelled_and_unlabelled(_same, data, reader=Reader(32, 32), seed=0)
    for turn in (Orientation(1), Orientation(2, True)):
        turned = read_augmented(_same, data, reader=Reader(32, 32, turn=turn))
        np.testing.assert_allclose(turned.values, plain.values, rtol=1e-6)
        assert np.array_equal(turned.label, plain.label)

    def west(images, at):
        return _at(images - np.roll(images, 1, -1), at)

    there = [read_augmented(west, data, reader=Reader(32, 32, turn=Orientation(q))).values for q in (0, 1)]
    assert [np.median(values) for values in there] == [
        1,
        100,
    ]  # What lies a column on in the raster, and what a row, a column on in the view.


def test_unlabelled_pixels_are_drawn_evenly_and_lie_on_the_rasters():
    sizes = {"wide": (100, 400), "small": (100, 100)}
    points = draw_unlabelled(sizes, 64, seed=0)
    assert set(points.class_id.tolist()) == {UNLABELLED}
    for name, (height, width) in sizes.items():
        own = points.on_image(name)
        assert (own.row >= 0).all()
        assert (own.row < height).all()
        assert (own.col < width).all()
    assert len(points) == 3000


def test_every_pixel_is_equally_likely_to_be_drawn_whatever_the_size_of_its_square():
    """300 x 360 px in squares of 256: the sliver of 44 rows in the south has 44 / 300 of the pixels."""
    drawn = join_points([draw_unlabelled({"a": (300, 360)}, 256, seed=s) for s in range(20)])
    assert (drawn.row >= 256).mean() == pytest.approx(44 / 300, abs=0.01)
    assert (drawn.col >= 256).mean() == pytest.approx(104 / 360, abs=0.01)


def test_pixels_are_drawn_from_few_squares_spread_over_the_rasters():
    points = draw_unlabelled({"a": (64 * 30, 64 * 30 + 1), "b": (64 * 30, 64 * 10)}, 32, seed=0)
    squares = set(zip(points.image, points.row // 32, points.col // 32, strict=True))
    assert 250 < len(squares) <= 300
    assert (points.image == "a").mean() == pytest.approx(0.75, abs=0.01)
    own = points.on_image("a")
    assert np.abs(own.row.mean() / (64 * 30) - 0.5) < 0.01


def test_of_more_points_than_are_used_a_choice_keeps_every_class_in_proportion():
    points = make_points("a", np.zeros(60_000), np.arange(60_000.0), np.tile([0, 1], 30_000))
    assert subsample_points(points).counts(2).tolist() == [25_000, 25_000]
    assert len(subsample_points(points, 100)) == 100


def test_the_same_seed_draws_the_same_pixels():
    sizes = {"a": (70, 90), "b": (40, 40)}
    one, same, other = (draw_unlabelled(sizes, 32, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one.row, same.row)
    assert not np.array_equal(one.row, other.row)
    assert len(join_points([one, other])) == len(one) + len(other)


def test_few_points_are_read_in_small_cells_and_many_in_large_ones():
    """One point: a cell of 32 px reads 96 x 96 px, one of 128 px 192 x 192. 16 points in one patch: 16 x 96 x 96 px.

    64 points in four patches: 4 x 192 x 192 px, or 320 x 320 px in one cell of 256 px.
    """
    reader = Reader(128, 32, has_flexible_cells=True)
    rows, cols = (places.ravel() for places in np.mgrid[16:128:32, 16:128:32])
    many = make_points("a", rows, cols, [0] * 16)
    assert reader.cheapest_cell_px(make_points("a", [5.0], [5.0], [0])) == 32
    assert reader.cheapest_cell_px(many) == 128
    rows, cols = (places.ravel() for places in np.mgrid[16:256:32, 16:256:32])
    assert reader.cheapest_cell_px(make_points("a", rows, cols, [0] * 64)) == 256
    assert Reader(128, 32).cheapest_cell_px(make_points("a", [5.0], [5.0], [0])) == 128


def test_the_cells_change_neither_values_nor_order(data):
    rng = np.random.default_rng(1)
    points = make_points("a", rng.uniform(0, 68, 9), rng.uniform(0, 99, 9), np.arange(9) % 2)
    whole, small = (
        read_features(_same, points, data, reader=Reader(64, 32, has_flexible_cells=is_small))
        for is_small in (False, True)
    )
    np.testing.assert_allclose(small.values, whole.values, rtol=1e-6)
    assert small.label.tolist() == whole.label.tolist()
