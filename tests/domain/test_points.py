from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.points import Budget, Shortage, join_points, make_points, sample_points
from geoseg.errors import LegendError

seeds = st.integers(0, 2**63 - 1)


def halves(height=8, width=8):
    """Class 0 in the west, class 1 in the east."""
    mask = np.zeros((height, width), np.uint8)
    mask[:, width // 2 :] = 1
    return mask


def noise(seed, shape=(20, 30)):
    return np.random.default_rng(seed).choice([0, 1, 2, 255], shape).astype(np.uint8)


def places(points):
    return set(zip(points.image.tolist(), points.row.tolist(), points.col.tolist(), strict=True))


def draw(masks, per_class=3, *, scope="tile", classes=3, seed=0, tile_px=8):
    return sample_points(masks, Budget(per_class, scope, tile_px), classes=classes, seed=seed)


# The table


def test_a_made_table_has_defaults_in_the_other_columns():
    points = make_points("a", [1.5], [2], [1])

    assert points.image.tolist() == ["a"]
    assert (points.weight.tolist(), points.source.tolist()) == ([1.0], ["field"])
    assert (points.seed.tolist(), points.role.tolist()) == ([-1], ["train"])


def test_points_are_taken_by_position_image_and_role():
    points = make_points(["a", "b", "a"], [0, 1, 2], [0, 0, 0], [0, 1, 1])
    points = replace(points, role=np.array(["train", "check", "check"]))

    assert points.take(np.array([2, 0])).row.tolist() == [2, 0]
    assert points.on_image("a").row.tolist() == [0, 2]
    assert points.with_role("check").row.tolist() == [1, 2]


def test_counts_name_absent_classes_too():
    assert make_points("a", [0, 1, 2], [0, 0, 0], [2, 0, 2]).counts(4).tolist() == [1, 0, 2, 0]


def test_joined_tables_keep_their_order_and_their_longest_names():
    joined = join_points([make_points("a", [0], [0], [0]), make_points("longer", [1], [1], [1])])

    assert joined.image.tolist() == ["a", "longer"]
    assert len(join_points([])) == 0


def test_the_digest_does_not_depend_on_the_order_and_sees_what_training_sees():
    points = make_points(["a", "b"], [0.25, 1], [0, 1], [0, 1])
    digest = points.digest()

    assert points.take(np.array([1, 0])).digest() == digest
    assert replace(points, source=np.array(["x", "y"]), seed=np.array([1, 2])).digest() == digest
    for column, values in {
        "image": np.array(["a", "c"]),
        "row": np.array([0.25, 1.000001]),
        "class_id": np.array([0, 2], np.uint8),
        "weight": np.array([1, 0.5], np.float32),
        "role": np.array(["train", "check"]),
    }.items():
        assert replace(points, **{column: values}).digest() != digest


def test_the_digest_sees_six_decimals_and_no_sign_of_zero():
    assert (
        make_points("a", [0.0], [2.0], [0]).digest()
        == make_points("a", [-0.0], [2.0], [0]).digest()
        == make_points("a", [-1e-9], [2.0 + 1e-9], [0]).digest()
    )


# The draw


def test_every_tile_gives_its_budget_of_each_class():
    points = draw({"a": halves(8, 16)}, per_class=3, classes=2, tile_px=4).points

    assert points.counts(2).tolist() == [3 * 4, 3 * 4]
    tiles = zip((points.row // 4).tolist(), (points.col // 4).tolist(), strict=True)
    assert all(len(list(own)) == 3 for _, own in itertools.groupby(sorted(tiles)))


def test_an_image_gives_its_budget_once():
    points = draw({"a": halves(), "b": halves()}, per_class=5, scope="image", classes=2, tile_px=4).points

    assert points.on_image("a").counts(2).tolist() == [5, 5]
    assert points.on_image("b").counts(2).tolist() == [5, 5]


def test_a_budget_in_total_is_shared_by_all_images():
    masks = {name: halves() for name in "abcdefgh"}

    points = draw(masks, per_class=20, scope="total", classes=2).points

    assert points.counts(2).tolist() == [20, 20]
    assert len(set(points.image.tolist())) > 4


@settings(deadline=None)
@given(seeds, st.sampled_from(["tile", "image", "total"]), st.integers(1, 40))
def test_points_are_distinct_labelled_pixels_with_their_class(seed, scope, per_class):
    masks = {"a": noise(1), "b": noise(2)}

    points = draw(masks, per_class, scope=scope, seed=seed).points

    assert len(places(points)) == len(points)
    for image, row, col, k in zip(points.image, points.row, points.col, points.class_id, strict=True):
        assert masks[image][int(row), int(col)] == k != 255
    assert set(points.seed.tolist()) == {seed}
    assert set(points.source.tolist()) == {"simulated"}


@settings(deadline=None)
@given(seeds, st.sampled_from(["tile", "image", "total"]))
def test_the_draw_does_not_depend_on_the_order_of_the_masks(seed, scope):
    masks = {"a": noise(1), "b": noise(2), "c": noise(3)}

    one, other = (
        draw(masks, scope=scope, seed=seed),
        draw(dict(reversed(masks.items())), scope=scope, seed=seed),
    )

    assert one.points.digest() == other.points.digest()
    assert one.points.row.tolist() == other.points.row.tolist()
    assert one.shortages == other.shortages


def test_the_draw_of_an_image_does_not_depend_on_the_other_images():
    alone, together = draw({"b": noise(2)}), draw({"a": noise(1), "b": noise(2)})

    assert together.points.on_image("b").digest() == alone.points.digest()


def test_another_seed_and_another_name_draw_other_points():
    mask = noise(1)
    points = draw({"a": mask}).points

    assert places(draw({"a": mask}, seed=1).points) != places(points)
    assert {p[1:] for p in places(draw({"b": mask}).points)} != {p[1:] for p in places(points)}


@settings(deadline=None)
@given(seeds, st.sampled_from(["tile", "image", "total"]))
def test_a_small_budget_is_part_of_a_larger_one(seed, scope):
    masks = {"a": noise(1), "b": noise(2)}

    small = draw(masks, 3, scope=scope, seed=seed).points
    large = draw(masks, 9, scope=scope, seed=seed).points

    assert places(small) < places(large)


@pytest.mark.parametrize("scope", ["image", "total"])
def test_tiles_play_no_part_in_other_budgets(scope):
    masks = {"a": noise(1), "b": noise(2)}

    small, large = draw(masks, scope=scope, tile_px=7), draw(masks, scope=scope, tile_px=64)

    assert small.points.row.tolist() == large.points.row.tolist()
    assert small.points.digest() == large.points.digest()


def test_every_pixel_of_a_class_has_the_same_chance():
    mask = np.zeros((2, 2), np.uint8)
    drawn = [draw({"a": mask}, 1, classes=1, seed=seed).points for seed in range(400)]

    often = np.bincount([int(2 * p.row[0] + p.col[0]) for p in drawn], minlength=4)

    # 100 each are expected, with a standard deviation of 8.7
    assert often.sum() == 400
    assert abs(often - 100).max() < 35


def test_fewer_pixels_than_asked_give_what_there_is_and_say_so():
    mask = np.array([[0, 0, 1, 255], [0, 0, 255, 255]], np.uint8)

    sample = draw({"a": mask}, 3, scope="tile", tile_px=8)

    assert sample.points.counts(3).tolist() == [3, 1, 0]
    assert sample.shortages == (Shortage("a", 1, 3, 1),)


def test_a_class_that_a_tile_lacks_is_no_shortage():
    assert draw({"a": halves(4, 8)}, 3, classes=2, tile_px=4).shortages == ()


def test_a_class_that_an_image_lacks_is_a_shortage():
    sample = draw({"a": halves(), "b": np.zeros((8, 8), np.uint8)}, 3, scope="image", classes=2)

    assert sample.shortages == (Shortage("b", 1, 3, 0),)


def test_a_shortage_in_total_belongs_to_no_image():
    mask = np.array([[0, 1]], np.uint8)

    sample = draw({"a": mask, "b": mask}, 3, scope="total")

    assert sample.shortages == (Shortage("", 0, 3, 2), Shortage("", 1, 3, 2), Shortage("", 2, 3, 0))


def test_a_mask_without_labels_gives_no_points():
    assert len(draw({"a": np.full((3, 3), 255, np.uint8)}).points) == 0
    assert len(draw({}, scope="total").points) == 0


def test_a_mask_with_more_classes_than_the_legend_is_refused():
    with pytest.raises(LegendError, match=r"^a: .*expected ids 0\.\.1, or 255 for unlabelled; got 2, 7"):
        draw({"a": np.array([[0, 7, 255, 2]], np.uint8)}, classes=2)


def test_every_mask_is_looked_up_once():
    class Masks(dict):
        looked_up = ()

        def __getitem__(self, name):
            self.looked_up += (name,)
            return super().__getitem__(name)

    masks = Masks(b=halves(), a=halves())
    draw(masks, classes=2)

    assert masks.looked_up == ("a", "b")
