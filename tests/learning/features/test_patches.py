import numpy as np
import pytest

from geoseg.domain.points import make_points
from geoseg.domain.windows import Window
from geoseg.learning.features.extractors import read_at_points
from geoseg.learning.features.patches import (
    Orientation,
    PatchPlan,
    batches,
    plan_epoch,
    plan_grid_patches,
    read_ahead,
    read_batch,
)

TURNS = [Orientation(quarters, flipped) for quarters in range(4) for flipped in (False, True)]


def _numbered(source, height=40, width=50):
    """A raster whose pixel values say their row and column."""
    rows, cols = np.mgrid[:height, :width].astype(np.float32)
    return source(np.stack([rows, cols]))


@pytest.mark.parametrize("turn", TURNS)
def test_points_and_pixels_move_together(source, turn):
    points = make_points("a", [5, 9, 12], [7, 4, 19], [0, 1, 2])
    batch = read_batch(
        [PatchPlan("a", Window(4, 4, 16, 16), turn)], {"a": _numbered(source)}, points, patch_px=16
    )
    rows, cols = batch.points.row.astype(int), batch.points.col.astype(int)
    assert batch.pixels[0, 0, rows, cols].tolist() == [5, 9, 12]
    assert batch.pixels[0, 1, rows, cols].tolist() == [7, 4, 19]
    assert batch.points.label.tolist() == [0, 1, 2]


@pytest.mark.parametrize("turn", TURNS)
def test_every_turn_can_be_undone(turn):
    array = np.arange(2 * 5 * 5).reshape(2, 5, 5)
    assert np.array_equal(turn.inverse.apply_to_array(turn.apply_to_array(array)), array)


@pytest.mark.parametrize("turn", TURNS)
@pytest.mark.parametrize("side", [8, 13, 16, 24])
def test_scaling_and_turning_move_points_with_their_ground(source, turn, side):
    # The values are linear, so what is read at a point of the patch is its row and column in the raster.
    points = make_points("a", [11.25, 13.0], [12.5, 10.75], [0, 1])
    plan = PatchPlan("a", Window(8, 8, side, side), turn)
    batch = read_batch([plan], {"a": _numbered(source)}, points, patch_px=16)
    at = batch.points
    found = read_at_points(batch.pixels, at, (16, 16))
    np.testing.assert_allclose(found, [[11.25, 12.5], [13.0, 10.75]], atol=1e-4)


def test_a_scaled_patch_keeps_points_on_their_ground(source):
    # 20 px become 10: the values are linear, so bilinear reading gives them back at the point's place.
    points = make_points("a", [10.5], [20.25], [0])
    batch = read_batch([PatchPlan("a", Window(2, 12, 20, 20))], {"a": _numbered(source)}, points, patch_px=10)
    # Half a pixel of the patch is a pixel of the raster: (10.5 - 2 + 0.5) / 2 - 0.5 = 4.0
    assert batch.points.row.tolist() == [4.0]
    assert batch.points.col.tolist() == [pytest.approx((20.25 - 12 + 0.5) / 2 - 0.5)]
    at = batch.pixels[0, 0, 4, 0].item()
    assert at == pytest.approx(10.5)


def test_every_window_lies_inside_the_raster_and_holds_a_point():
    rng = np.random.default_rng(0)
    points = make_points("a", rng.integers(0, 100, 7), rng.integers(0, 80, 7), np.zeros(7, int))
    plans = plan_epoch(points, {"a": (100, 80)}, patches=24, patch_px=32, scale=1.25, rng=rng)
    assert len(plans) == 24
    assert {plan.turn for plan in plans} == set(TURNS)
    for plan in plans:
        window = plan.window
        assert 0 <= window.row <= 100 - window.height
        assert 0 <= window.col <= 80 - window.width
        inside = (points.row >= window.row) & (points.row < window.row + window.height)
        assert (inside & (points.col >= window.col) & (points.col < window.col + window.width)).any()


def test_every_point_seeds_equally_often_give_or_take_one_and_lies_in_its_windows():
    names = [f"r{n}" for n in range(7)]
    rng = np.random.default_rng(3)
    points = make_points(names, rng.uniform(-0.5, 99.5, 7), rng.uniform(-0.5, 79.5, 7), np.zeros(7, int))
    place = dict(zip(names, zip(points.row + 0.5, points.col + 0.5, strict=True), strict=True))
    sizes = dict.fromkeys(names, (100, 80))
    plans = plan_epoch(points, sizes, patches=37, patch_px=32, scale=1.25, rng=rng)
    drawn = [plan.image for plan in plans]
    assert sorted(drawn.count(name) for name in names) == [5, 5, 5, 5, 5, 6, 6]
    for plan in plans:
        (row, col), window = place[plan.image], plan.window
        assert window.row <= row <= window.row + window.height
        assert window.col <= col <= window.col + window.width


def test_windows_are_squares_as_much_smaller_and_larger_as_the_scale():
    points, rng = make_points("a", [50], [50], [0]), np.random.default_rng(0)
    plans = plan_epoch(points, {"a": (200, 200)}, patches=300, patch_px=32, scale=2.0, rng=rng)
    sides = [plan.window.height for plan in plans]
    assert sides == [plan.window.width for plan in plans]
    assert 16 <= min(sides) < 20
    assert 52 < max(sides) <= 64


def test_a_patch_larger_than_its_raster_holds_all_of_it():
    points = make_points("a", [3], [1], [0])
    rng = np.random.default_rng(0)
    for plan in plan_epoch(points, {"a": (5, 4)}, patches=20, patch_px=16, scale=1, rng=rng):
        assert plan.window.row <= 0
        assert plan.window.col <= 0
        assert plan.window.row + 16 >= 5
        assert plan.window.col + 16 >= 4


def test_the_same_seed_draws_the_same_patches():
    points = make_points("a", [3, 30], [1, 20], [0, 1])
    draws = [
        plan_epoch(points, {"a": (64, 64)}, patches=9, patch_px=16, scale=1.2, rng=np.random.default_rng(5))
        for _ in range(2)
    ]
    assert draws[0] == draws[1]


def test_a_cover_carries_every_point_exactly_once(source):
    rng = np.random.default_rng(1)
    row, col = rng.uniform(-0.5, 39.5, 60), rng.uniform(-0.5, 49.5, 60)
    points = make_points("a", row, col, np.arange(60) % 5)
    batch = read_batch(plan_grid_patches(points, 16), {"a": _numbered(source)}, points, patch_px=16)
    assert len(batch.points.label) == 60
    assert sorted(batch.points.label.tolist()) == sorted(points.class_id.tolist())


def test_what_lies_outside_the_raster_is_not_valid(source):
    points = make_points("a", [0], [0], [0])
    batch = read_batch([PatchPlan("a", Window(-2, 0, 8, 8))], {"a": _numbered(source)}, points, patch_px=8)
    assert batch.valid[0, :2].sum() == 0
    assert batch.valid[0, 2:].all()


def test_reading_ahead_gives_every_step_in_order(source):
    points = make_points("a", [1, 20], [1, 30], [0, 1])
    plans = list(batches(plan_grid_patches(points, 16), 1))
    ahead = list(read_ahead(plans, {"a": _numbered(source)}, points, patch_px=16))
    assert [b.points.label.tolist() for b in ahead] == [[0], [1]]
    assert np.array_equal(
        ahead[0].pixels, read_batch(plans[0], {"a": _numbered(source)}, points, patch_px=16).pixels
    )


def test_a_scaled_pixel_that_mixes_in_an_invalid_one_is_not_valid(source):
    valid = np.ones((8, 8), bool)
    valid[3, 3] = False
    sources = {"a": source(np.ones((1, 8, 8), np.float32), valid)}
    plan = PatchPlan("a", Window(0, 0, 8, 8))
    batch = read_batch([plan], sources, make_points("a", [0], [0], [0]), patch_px=4)
    expected = np.ones((4, 4), bool)
    expected[1, 1] = False
    assert np.array_equal(batch.valid[0], expected)


def test_points_of_other_rasters_and_places_are_left_out_and_weights_come_along(source):
    points = make_points(["a", "b", "a", "a"], [4, 4, 11.4, 11.6], [4, 4, 4, 4], [0, 1, 2, 3])
    points.weight[:] = [0.5, 1.0, 2.0, 4.0]
    plans = [PatchPlan("a", Window(4, 4, 8, 8)), PatchPlan("b", Window(4, 4, 8, 8))]
    batch = read_batch(plans, {name: _numbered(source) for name in "ab"}, points, patch_px=8)
    # The window ends with pixel row 11, that is at 11.5.
    assert batch.points.label.tolist() == [0, 2, 1]
    assert batch.points.index.tolist() == [0, 0, 1]
    assert batch.points.weight.tolist() == [0.5, 2.0, 1.0]


def test_a_patch_without_points_is_read_all_the_same(source):
    points = make_points("a", [30], [30], [0])
    batch = read_batch([PatchPlan("a", Window(0, 0, 8, 8))], {"a": _numbered(source)}, points, patch_px=8)
    assert batch.pixels.shape == (1, 2, 8, 8)
    assert len(batch.points.label) == 0


def test_the_last_batch_may_be_smaller():
    plans = [PatchPlan("a", Window(n, 0, 4, 4)) for n in range(5)]
    assert [len(group) for group in batches(plans, 2)] == [2, 2, 1]


def test_reading_ahead_passes_on_what_goes_wrong():
    points = make_points("a", [3], [3], [0])
    with pytest.raises(KeyError, match="a"):
        next(read_ahead([plan_grid_patches(points, 16)], {}, points, patch_px=16))
