"""Spatial blocks for held-out points: whole grid cells are held out, so that neighbours do not inflate scores.

Roberts et al., "Cross-validation strategies for data with temporal, spatial, hierarchical, or phylogenetic structure",
Ecography 40 (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.points import CHECK, TRAIN, Points

MIN_BLOCKS = 8
"""Target number of blocks; smaller blocks are used if the points lie in fewer."""
MIN_BLOCK_PX = 32
"""Minimum side of independent blocks; about the receptive field of a network's features."""
_ROUNDING = 1e-9
_FORBIDDEN = 1e3

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Blocks:
    """Spatial blocks of points.

    Attributes:
        numbers: Block number of each point (P,), from 0 in the order of images, rows and columns.
        block_px: Side of the blocks in pixels.
        patch_px: Requested side in pixels.
    """

    numbers: Numbers
    block_px: int
    patch_px: int

    @property
    def count(self) -> int:
        """Number of blocks with points."""
        return len(np.unique(self.numbers))

    @property
    def are_independent(self) -> bool:
        """Whether the blocks are large enough to be independent."""
        return self.block_px >= min(MIN_BLOCK_PX, self.patch_px)

    def describe(self) -> str:
        """Describe how points are held out, in one to three sentences."""
        said = f"Points are held out by place: {self.count} blocks of {self.block_px} px hold points."
        if self.block_px == self.patch_px:
            return said
        if self.are_independent:
            return f"{said} Blocks of --patch {self.patch_px} px would be too few."
        return (
            f"The points lie too close together to be held out by place: blocks of only {self.block_px} px are held "
            "out, so points are judged by their neighbours. Scores at held-out points will be too high, and choices "
            "based on them are uncertain. Add points in other parts of the raster."
        )


def cell_indices(points: Points, cell_px: int) -> list[tuple[str, int, int]]:
    """Return for each point image, row and column of its cell in a fixed grid."""
    return [
        (str(image), int((row + 0.5) // cell_px), int((col + 0.5) // cell_px))
        for image, row, col in zip(points.image, points.row, points.col, strict=True)
    ]


def cell_numbers(points: Points, cell_px: int) -> Numbers:
    """Return the cell number of each point (P,), from 0 in grid order."""
    cells = cell_indices(points, cell_px)
    numbers = {cell: number for number, cell in enumerate(sorted(set(cells)))}
    return np.array([numbers[cell] for cell in cells], np.int64)


def find_blocks(points: Points, patch_px: int) -> Blocks:
    """Return the blocks of points: as large as a patch, or smaller if points lie in too few of them.

    The side is halved until there are eight blocks, or one for every two points. Half of the classes, and at least two,
    must lie in more than one block. If no side suffices, each pixel is a block.

    Args:
        points: The points.
        patch_px: Side of a training patch.
    """
    pixels = cell_numbers(points, 1)
    classes = _classes_apart(points.class_id, pixels)
    enough = min(MIN_BLOCKS, len(np.unique(pixels)) // 2)
    side = patch_px
    while side > 1:
        numbers = cell_numbers(points, side)
        apart = _classes_apart(points.class_id, numbers)
        if len(np.unique(numbers)) >= enough and apart >= min(classes, max(2, -(-classes // 2))):
            return Blocks(numbers, side, patch_px)
        side //= 2
    return Blocks(pixels, 1, patch_px)


def _classes_apart(labels: NDArray[np.integer], blocks: Numbers) -> int:
    """Return the number of classes that lie in more than one block."""
    return int((~is_in_one_block(labels, blocks)[np.unique(labels, return_index=True)[1]]).sum())


def is_in_one_block(labels: NDArray[np.integer], blocks: Numbers) -> NDArray[np.bool_]:
    """Return for each point (P,) whether all points of its class lie in one block."""
    found = np.zeros(len(labels), np.bool_)
    for k in np.unique(labels):
        own = labels == k
        found[own] = len(np.unique(blocks[own])) == 1
    return found


def assign_blocks(
    labels: NDArray[np.integer],
    blocks: Numbers,
    shares: Sequence[float],
    *,
    seed: int,
    may_take_all: Sequence[int] = (),
    fixed: NDArray[np.bool_] | None = None,
) -> Numbers:
    """Assign whole blocks to groups so that each group gets about its share of every class.

    The assignment is greedy and starts with the blocks that hold the largest part of a class.

    Args:
        labels: Class ids (P,).
        blocks: Block numbers (P,).
        shares: Share of each group; they sum to 1.
        seed: Seed of the order among similar blocks.
        may_take_all: Groups that may get all blocks of a class; other groups leave one block if possible.
        fixed: Points (P,) whose blocks belong to the first group.

    Returns:
        Group number of each point (P,).
    """
    _, block = np.unique(blocks, return_inverse=True)
    parts = _parts_of_classes(labels, block)
    rng = np.random.default_rng([seed, len(parts)])
    order = np.argsort(-parts.max(axis=1, initial=0) * rng.uniform(0.5, 1, len(parts)), kind="stable")
    is_fixed = np.isin(np.arange(len(parts)), block if fixed is None else block[fixed]) & (fixed is not None)
    target = np.asarray(shares, np.float64)[:, None]
    is_guarded = ~np.isin(np.arange(len(target)), may_take_all)
    group = np.zeros(len(parts), np.int64)
    filled = np.zeros((len(target), parts.shape[1]))
    filled[0] = parts[is_fixed].sum(axis=0)
    for one in order[~is_fixed[order]]:
        takes_all = ((filled + parts[one] > 1 - _ROUNDING) & (parts[one] > 0)).any(axis=1)
        # Gradient of the squared distance from the shares.
        cost = (filled - target) @ parts[one] + np.where(is_guarded & takes_all, _FORBIDDEN, 0)
        group[one] = int(cost.argmin())
        filled[group[one]] += parts[one]
    return group[block]


def _parts_of_classes(labels: NDArray[np.integer], block: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the fraction of each class's points in each block (blocks, classes)."""
    _, own = np.unique(labels, return_inverse=True)
    counts = np.zeros((int(block.max(initial=-1)) + 1, int(own.max(initial=-1)) + 1))
    np.add.at(counts, (block, own), 1.0)
    parts: NDArray[np.float64] = counts / counts.sum(axis=0)
    return parts


def hold_out(points: Points, share: float, *, patch_px: int, seed: int) -> tuple[Points, Blocks | None]:
    """Assign the role "check" to a share of the training points, block by block.

    If a class lies in a single block, the whole block stays in training.

    Args:
        points: The points; existing "check" points are kept.
        share: Fraction of each class's training points to hold out, 0..1, approximated by whole blocks.
        patch_px: Side of a training patch; see :func:`find_blocks`.
        seed: Seed of the choice; the result does not depend on the order of the points.

    Returns:
        The points, and the blocks of the former training points, or None if nothing is held out.
    """
    training = np.flatnonzero((points.role == TRAIN) & (points.weight > 0))
    if not share or not len(training):
        return points, None
    own = points.take(training)
    blocks = find_blocks(own, patch_px)
    stays = np.isin(blocks.numbers, blocks.numbers[is_in_one_block(own.class_id, blocks.numbers)])
    group = assign_blocks(
        own.class_id, blocks.numbers, (1 - share, share), seed=seed, may_take_all=(0,), fixed=stays
    )
    if not group.any():
        return points, None
    role = points.role.copy().astype("U5")
    role[training[group == 1]] = CHECK
    return replace(points, role=role), blocks


def assign_folds(labels: NDArray[np.integer], blocks: Numbers, *, folds: int, seed: int) -> Numbers:
    """Assign points to the folds of a cross-validation, block by block.

    Args:
        labels: Class ids (P,).
        blocks: Block numbers (P,).
        folds: Maximum number of folds.
        seed: Seed of the assignment.

    Returns:
        Number of the fold in which each point is held out (P,); -1 for classes in a single block, which are always in
        training.
    """
    found = np.full(len(labels), -1, np.int64)
    free = np.flatnonzero(~is_in_one_block(labels, blocks))
    count = min(folds, len(np.unique(blocks[free])))
    if count > 1:
        found[free] = assign_blocks(labels[free], blocks[free], [1 / count] * count, seed=seed)
    return found
