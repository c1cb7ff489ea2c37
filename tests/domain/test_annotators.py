import numpy as np
import pytest

from geoseg.domain.annotators import Annotator, Candidates, ComponentKeyFactors, add_errors, components
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import Budget, make_points, sample_points

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


def _candidates(mask=MASK, **annotator):
    return Candidates({"a": mask}, Annotator(**annotator))["a"]


def _by_component(masks, per_class, *, scope="image", seed=0, tile_px=256):
    """Draw points of class 0 component by component."""
    reach = ComponentKeyFactors(masks, seed, tile_px if scope == "tile" else None)
    return sample_points(masks, Budget(per_class, scope, tile_px), classes=1, seed=seed, reach=reach).points


def _ponds():
    """One class in components of 1, 4 and 240 pixels, which end before columns 1, 10 and 40."""
    mask = np.full((12, 40), U, np.uint8)
    mask[5, 0] = 0
    mask[3:5, 8:10] = 0
    mask[:, 20:] = 0
    return mask


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


def test_any_pixel_of_a_component_will_do():
    assert _candidates(places="component") is MASK


def test_components_are_drawn_evenly_whatever_their_size():
    first = [_by_component({"a": _ponds()}, 1, seed=seed).col[0] for seed in range(900)]
    counts, _ = np.histogram(first, [0, 1, 10, 40])
    # 300 of each are expected, give or take 14; of any pixels 4, 15 and 882.
    assert (abs(counts - 300) < 57).all()


def test_a_component_that_has_no_pixel_left_leaves_the_rest_to_the_others():
    counts = np.array(
        [
            np.histogram(_by_component({"a": _ponds()}, 12, seed=seed).col, [0, 1, 10, 40])[0]
            for seed in range(50)
        ]
    )
    # Of twelve points the pond of one pixel is nearly sure to have its own, that of four most of its own.
    assert counts[:, 0].mean() > 0.9
    assert counts[:, 1].max() == 4
    assert counts[:, 1].mean() > 3.3
    assert (counts.sum(axis=1) == 12).all()


def test_within_a_component_any_pixel_is_drawn_evenly_and_none_twice():
    columns = []
    for seed in range(40):
        drawn = _by_component({"a": _ponds()}, 60, seed=seed)
        assert len(set(zip(drawn.row, drawn.col, strict=True))) == 60
        columns += drawn.col[drawn.col >= 20].tolist()
    counts, _ = np.histogram(columns, [20, 25, 30, 35, 40])
    # About 55 x 40 points in four parts.
    assert (abs(counts - len(columns) / 4) < 0.15 * len(columns) / 4).all()
    assert len(_by_component({"a": _ponds()}, 1000)) == 245


def test_components_of_all_images_are_drawn_evenly_for_a_budget_in_total():
    # One component in the first image, nine in the second.
    masks = {"a": np.zeros((9, 9), np.uint8), "b": np.full((9, 9), U, np.uint8)}
    masks["b"][::4, ::4] = 0
    images = [_by_component(masks, 1, scope="total", seed=seed).image[0] for seed in range(600)]
    # 60 are expected, give or take 7.3.
    assert abs(images.count("a") - 60) < 30


def test_points_of_a_small_budget_are_among_those_of_a_larger_one():
    few, many = (_by_component({"a": _ponds()}, n, seed=2) for n in (5, 50))
    assert set(zip(few.row, few.col, strict=True)) < set(zip(many.row, many.col, strict=True))


def test_the_reach_is_that_of_the_seed_and_the_image():
    masks = {"a": MASK, "b": MASK}
    assert np.array_equal(ComponentKeyFactors(masks, 1)["a"], ComponentKeyFactors(masks, 1)["a"])
    assert not np.array_equal(ComponentKeyFactors(masks, 1)["a"], ComponentKeyFactors(masks, 2)["a"])
    assert not np.array_equal(ComponentKeyFactors(masks, 1)["a"], ComponentKeyFactors(masks, 1)["b"])
    assert list(ComponentKeyFactors(masks, 1)) == ["a", "b"]


def test_a_jittered_centre_stays_in_its_class_and_reach():
    mask = np.zeros((50, 50), np.uint8)
    mask[:, 25:] = 1
    points = make_points("a", [20.0] * 300, [27.0] * 300, [1] * 300)
    moved = add_errors(points, {"a": mask}, Annotator("centre", jitter_px=4), classes=2, seed=0)
    distance = np.hypot(moved.row - 20, moved.col - 27)
    assert distance.max() <= 4
    assert np.median(distance) > 1
    assert (moved.col >= 24.5).all()


def test_misplaced_points_lie_one_to_so_many_pixels_off_and_on_the_raster():
    points = _points()
    moved = add_errors(
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
    erred = add_errors(
        points, {"a": np.zeros((50, 50), np.uint8)}, Annotator(wrong_share=0.2), classes=4, seed=0
    )
    wrong = erred.class_id != 1
    assert wrong.mean() == pytest.approx(0.2, abs=0.03)
    assert set(erred.class_id[wrong].tolist()) == {0, 2, 3}


def test_a_careful_annotator_does_not_err():
    points = _points()
    same = add_errors(points, {"a": np.zeros((50, 50), np.uint8)}, Annotator(), classes=2, seed=0)
    assert same.digest() == points.digest()


def test_budgets_of_tiles_look_for_components_in_each_tile():
    masks = {"a": np.zeros((40, 60), np.uint8)}
    kept = Candidates(masks, Annotator("centre"), tile_px=20)["a"]
    assert (kept == 0).sum() == 6
    reach = ComponentKeyFactors(masks, 0, tile_px=20)["a"]
    assert len(np.unique(reach)) == 6
    assert len(np.unique(ComponentKeyFactors(masks, 0)["a"])) == 1
    assert len(_by_component(masks, 3, scope="tile", tile_px=20)) == 6 * 3
