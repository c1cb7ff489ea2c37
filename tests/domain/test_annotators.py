import numpy as np
import pytest
from scipy import ndimage

from geoseg.domain.annotators import Annotator, Candidates, components, err
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import make_points, sample_points

U = UNLABELLED
MASK = np.array(
    [
        [0, 0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, 1, 1],
        [0, 0, 0, 0, 0, U, U],
        [0, 0, 0, 0, 0, U, 1],
        [0, 0, 0, 0, 0, U, 1],
    ],
    np.uint8,
)


def _candidates(mask=MASK, per_class=100, seed=0, **annotator):
    return Candidates({"a": mask}, Annotator(**annotator), per_class=per_class, seed=seed)["a"]


def _points(count=200, side=50, class_id=1):
    rng = np.random.default_rng(0)
    return make_points(
        "a", rng.integers(side, size=count), rng.integers(side, size=count), [class_id] * count
    )


def test_any_pixel_of_its_class_will_do():
    assert _candidates() is MASK


def test_interior_points_keep_their_distance():
    kept = _candidates(places="interior", margin_px=1)
    expected = np.full(MASK.shape, U, np.uint8)
    expected[:, :4] = 0
    expected[0, 6] = 1
    assert np.array_equal(kept, expected)


def test_components_share_sides_not_corners():
    mask = np.array([[0, 1], [1, 0]], np.uint8)
    assert sorted(components(mask).ravel()) == [1, 2, 3, 4]
    assert len(np.unique(components(MASK)[MASK != U])) == 3
    assert not components(MASK)[MASK == U].any()


def test_the_centre_is_the_deepest_pixel_of_each_component():
    kept = _candidates(places="centre")
    rows, cols = np.nonzero(kept != U)
    assert list(zip(rows.tolist(), cols.tolist(), strict=True)) == [(0, 5), (2, 2), (3, 6)]


def test_small_components_are_drawn_as_often_as_large_ones():
    mask = np.zeros((60, 60), np.uint8)
    mask[:, :50] = 1  # 3000 pixels
    mask[10:16, 54:60] = 1  # 36 pixels
    masks = Candidates({"a": mask}, Annotator("component"), per_class=10, seed=3)
    kept = masks["a"]
    own, _ = ndimage.label(mask == 1)
    assert [int(((kept == 1) & (own == k)).sum()) for k in (1, 2)] == [10, 10]
    drawn = sample_points(masks, per_class=10, scope="image", classes=2, seed=3).points
    assert (drawn.class_id == 1).sum() == 10


def test_the_candidates_are_those_of_the_seed_and_the_image():
    mask = np.zeros((30, 30), np.uint8)
    one, same, other = (_candidates(mask, per_class=5, seed=s, places="component") for s in (1, 1, 2))
    assert (one == 0).sum() == 5
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_jittered_centre_stays_in_its_class_and_reach():
    mask = np.zeros((50, 50), np.uint8)
    mask[:, 25:] = 1
    points = make_points("a", [20.0] * 300, [27.0] * 300, [1] * 300)
    moved = err(points, {"a": mask}, Annotator("centre", jitter_px=4), classes=2, seed=0)
    distance = np.hypot(moved.row - 20, moved.col - 27)
    assert distance.max() <= 4
    assert np.median(distance) > 1
    assert (moved.col >= 24.5).all()


def test_misplaced_points_lie_one_to_so_many_pixels_off_and_on_the_raster():
    points = _points()
    moved = err(
        points, {"a": np.zeros((50, 50), np.uint8)}, Annotator(location_error_px=3), classes=2, seed=0
    )
    inside = (points.row > 3) & (points.row < 46) & (points.col > 3) & (points.col < 46)
    distance = np.hypot(moved.row - points.row, moved.col - points.col)
    assert (distance[inside] >= 1).all()
    assert distance.max() <= 3
    assert moved.row.min() >= 0
    assert moved.row.max() <= 49
    assert np.array_equal(moved.class_id, points.class_id)


def test_a_share_of_the_labels_is_wrong():
    points = _points(2000)
    erred = err(points, {"a": np.zeros((50, 50), np.uint8)}, Annotator(wrong_share=0.2), classes=4, seed=0)
    wrong = erred.class_id != 1
    assert wrong.mean() == pytest.approx(0.2, abs=0.03)
    assert set(erred.class_id[wrong].tolist()) == {0, 2, 3}


def test_a_careful_annotator_does_not_err():
    points = _points()
    same = err(points, {"a": np.zeros((50, 50), np.uint8)}, Annotator(), classes=2, seed=0)
    assert same.digest() == points.digest()


def test_budgets_of_tiles_look_for_components_in_each_tile():
    masks = {"a": np.zeros((40, 60), np.uint8)}
    for places, expected in (("centre", 6), ("component", 6 * 3)):
        kept = Candidates(masks, Annotator(places), per_class=3, seed=0, tile_px=20)["a"]
        assert (kept == 0).sum() == expected
