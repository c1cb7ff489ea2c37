import numpy as np
import pytest
import torch

from geoseg.domain.points import make_points
from geoseg.domain.windows import Window
from geoseg.learning.patches import PatchPlan, Turn, batches, plan_cover, plan_epoch, read_ahead, read_batch

TURNS = [Turn(quarters, flipped) for quarters in range(4) for flipped in (False, True)]


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
    rows, cols = batch.points.row.long(), batch.points.col.long()
    assert batch.pixels[0, 0, rows, cols].tolist() == [5, 9, 12]
    assert batch.pixels[0, 1, rows, cols].tolist() == [7, 4, 19]
    assert batch.points.label.tolist() == [0, 1, 2]


def test_a_scaled_patch_keeps_points_on_their_ground(source):
    # 20 px become 10: the values are linear, so bilinear reading gives them back at the point's place.
    points = make_points("a", [10.5], [20.25], [0])
    batch = read_batch([PatchPlan("a", Window(2, 12, 20, 20))], {"a": _numbered(source)}, points, patch_px=10)
    # Half a pixel of the patch is a pixel of the raster: (10.5 - 2 + 0.5) / 2 - 0.5 = 4.0
    assert batch.points.row.tolist() == [4.0]
    assert batch.points.col.tolist() == [pytest.approx((20.25 - 12 + 0.5) / 2 - 0.5)]
    at = batch.pixels[0, 0, 4, 0].item()
    assert at == pytest.approx(10.5)


def test_every_window_holds_its_point_inside_the_raster_and_every_point_seeds_equally_often():
    rng = np.random.default_rng(0)
    points = make_points("a", rng.integers(0, 100, 7), rng.integers(0, 80, 7), np.zeros(7, int))
    plans = plan_epoch(points, {"a": (100, 80)}, patches=24, patch_px=32, scale=1.25, rng=rng)
    assert len(plans) == 24
    for plan in plans:
        window = plan.window
        assert 0 <= window.row <= 100 - window.height
        assert 0 <= window.col <= 80 - window.width
        inside = (points.row >= window.row) & (points.row < window.row + window.height)
        assert (inside & (points.col >= window.col) & (points.col < window.col + window.width)).any()


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
    batch = read_batch(plan_cover(points, 16), {"a": _numbered(source)}, points, patch_px=16)
    assert len(batch.points.label) == 60
    assert sorted(batch.points.label.tolist()) == sorted(points.class_id.tolist())


def test_what_lies_outside_the_raster_is_not_valid(source):
    points = make_points("a", [0], [0], [0])
    batch = read_batch([PatchPlan("a", Window(-2, 0, 8, 8))], {"a": _numbered(source)}, points, patch_px=8)
    assert batch.valid[0, :2].sum() == 0
    assert batch.valid[0, 2:].all()


def test_reading_ahead_gives_every_step_in_order(source):
    points = make_points("a", [1, 20], [1, 30], [0, 1])
    plans = list(batches(plan_cover(points, 16), 1))
    ahead = list(read_ahead(plans, {"a": _numbered(source)}, points, patch_px=16))
    assert [b.points.label.tolist() for b in ahead] == [[0], [1]]
    assert torch.equal(
        ahead[0].pixels, read_batch(plans[0], {"a": _numbered(source)}, points, patch_px=16).pixels
    )
