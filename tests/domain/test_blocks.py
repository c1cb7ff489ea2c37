"""Points are held out by place."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.blocks import assign_folds, cell_numbers, find_blocks, hold_out
from geoseg.domain.points import make_points

seeds = st.integers(0, 2**32)


def scattered(count=400, classes=4, side=1024, seed=0):
    rng = np.random.default_rng(seed)
    return make_points("a", *rng.uniform(0, side - 1, (2, count)), rng.integers(classes, size=count))


def crowd(counts, step=1):
    class_id = np.repeat(np.arange(len(counts)), counts).astype(np.uint8)
    return make_points("a", step * np.arange(len(class_id)), np.zeros(len(class_id)), class_id)


def held(points, share=0.2, *, patch_px=256, seed=0):
    return hold_out(points, share, patch_px=patch_px, seed=seed)[0]


@settings(max_examples=20)
@given(seeds)
def test_no_held_out_point_shares_its_block_with_a_training_point(seed):
    points = held(scattered(), seed=seed)
    cell = cell_numbers(points, 256)
    assert not set(cell[points.role == "check"]) & set(cell[points.role == "train"])


def test_a_share_of_every_class_is_held_out_as_nearly_as_blocks_allow():
    """Sixteen blocks of 25 points on average: a block is 6 % of a class."""
    points = held(scattered())
    shares = points.with_role("check").counts(4) / points.counts(4)
    assert (np.abs(shares - 0.2) < 0.1).all()


@settings(max_examples=20)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=5), st.floats(0, 1), seeds, st.sampled_from([1, 90]))
def test_every_class_keeps_a_training_point(counts, share, seed, step):
    points = held(crowd(counts, step), share, seed=seed)
    assert (points.with_role("train").counts(len(counts)) >= 1).all()


def test_a_class_in_one_block_only_stays_in_training_with_its_block():
    rare = make_points("a", [300.0, 310.0, 320.0], [300.0, 310.0, 300.0], [4, 4, 4])
    points = scattered()
    both = replace(points, **{n: np.append(getattr(points, n), getattr(rare, n)) for n in vars(points)})
    for seed in range(20):
        role = held(both, seed=seed).role
        assert set(role[-3:]) == {"train"}
        in_block = (both.row // 256 == 1) & (both.col // 256 == 1)
        assert set(role[in_block]) == {"train"}


def test_a_training_point_of_weight_0_does_not_count_as_one():
    points = crowd([2], step=300)
    points = replace(points, weight=np.array([0, 1], np.float32))
    assert held(points, 0.9).role.tolist() == ["train", "train"]


def test_check_points_stay_check_points():
    points = crowd([10], step=300)
    points = replace(points, role=np.array(["check"] * 2 + ["train"] * 8))
    found = held(points, 0.5)
    assert found.role[:2].tolist() == ["check", "check"]
    assert len(found.with_role("check")) == 2 + 4


@settings(max_examples=20)
@given(seeds, st.randoms())
def test_what_is_held_out_does_not_depend_on_the_order_of_the_points(seed, random):
    points = scattered(60, 3)
    order = list(range(len(points)))
    random.shuffle(order)
    assert (
        held(points.take(np.array(order)), 0.3, seed=seed).digest() == held(points, 0.3, seed=seed).digest()
    )


def test_the_seed_chooses_the_blocks():
    points = scattered(60, 3)
    assert len({held(points, seed=seed).digest() for seed in range(5)}) > 1


@pytest.mark.parametrize(
    ("side", "block_px", "apart"), [(2048, 256, True), (500, 128, True), (60, 16, False)]
)
def test_blocks_are_halved_where_the_points_lie_in_too_few(side, block_px, apart):
    blocks = find_blocks(scattered(side=side), 256)
    assert (blocks.block_px, blocks.are_independent) == (block_px, apart)
    assert blocks.count >= 8


def test_points_without_places_of_their_own_are_told_of():
    blocks = find_blocks(scattered(side=60), 256)
    assert "too close together to be held out by place: blocks of only 16 px" in blocks.describe()
    assert "too close" not in find_blocks(scattered(), 256).describe()


def test_classes_that_lie_in_one_place_each_are_held_out_by_smaller_blocks():
    """Three clumps 1,000 px apart, one of each class: blocks of 256 px would hold out whole classes or nothing."""
    rng = np.random.default_rng(0)
    class_id = np.repeat([0, 1, 2], 20)
    points = make_points("a", rng.uniform(0, 100, 60), 1024 * class_id + rng.uniform(0, 100, 60), class_id)
    blocks = find_blocks(points, 256)
    assert blocks.block_px == 64
    assert set(held(points).with_role("check").class_id) == {0, 1, 2}


@pytest.mark.parametrize("counts", [[1], [1, 1], [1, 1, 1]])
def test_points_alone_in_their_class_are_not_held_out(counts):
    points, blocks = hold_out(crowd(counts, 300), 0.5, patch_px=256, seed=0)
    assert blocks is None
    assert set(points.role) == {"train"}


@settings(max_examples=20)
@given(seeds)
def test_folds_keep_blocks_whole_and_every_class_in_training(seed):
    points = scattered(60, 3)
    blocks = find_blocks(points, 256).numbers
    fold = assign_folds(points.class_id, blocks, folds=5, seed=seed)
    assert set(fold) == {0, 1, 2, 3, 4}
    assert all(len(np.unique(fold[blocks == b])) == 1 for b in np.unique(blocks))
    for k in range(5):
        assert set(points.class_id[fold != k]) == {0, 1, 2}


def test_folds_are_stratified():
    points = scattered(1000, 4, 4096)
    fold = assign_folds(points.class_id, find_blocks(points, 256).numbers, folds=5, seed=0)
    counts = np.array([points.take(fold == k).counts(4) for k in range(5)])
    assert (np.abs(counts / counts.sum(axis=0) - 0.2) < 0.02).all()
