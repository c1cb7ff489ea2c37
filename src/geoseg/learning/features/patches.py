"""Patches of rasters: random squares around labelled points or cells of a grid, with the points inside them.

Labels stay points: flips, rotations and scaling transform the coordinates, so sub-pixel positions are kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blocks import cell_indices
from geoseg.domain.points import Points
from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window

_BILINEAR_SHARE = 1 - 1e-3
_Scalar = TypeVar("_Scalar", bound=np.generic)


@dataclass(frozen=True)
class Orientation:
    """One of the eight symmetries of the square: ``quarters`` quarter turns anticlockwise, then a horizontal flip."""

    quarters: int = 0
    is_flipped: bool = False

    @property
    def inverse(self) -> Orientation:
        """The inverse symmetry; a flipped one is its own inverse."""
        return self if self.is_flipped else Orientation(-self.quarters % 4)

    def apply_to_array(self, array: NDArray[_Scalar]) -> NDArray[_Scalar]:
        """Rotate and flip the last two axes of a square array."""
        turned = np.rot90(array, self.quarters, (-2, -1))
        return np.flip(turned, -1) if self.is_flipped else turned

    def apply_to_points(
        self, row: NDArray[np.float64], col: NDArray[np.float64], side: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Rotate and flip positions in a square of ``side`` pixels, as :meth:`apply_to_array` does with pixels."""
        for _ in range(self.quarters % 4):
            row, col = side - 1 - col, row
        return row, side - 1 - col if self.is_flipped else col


UNCHANGED = Orientation()


@dataclass(frozen=True)
class PatchPlan:
    """Window and orientation of one patch; the square ``window`` is scaled to the patch size.

    Points within ``margin`` pixels of the edge are left out.
    """

    image: str
    window: Window
    turn: Orientation = UNCHANGED
    margin: int = 0


@dataclass(frozen=True)
class BatchPoints:
    """P labelled points of a batch of patches; arrays of shape (P,).

    Attributes:
        index: Patch in the batch, int64.
        row: Row in the patch in pixels, fractional; 0 is the centre of the first row.
        col: Column in the patch.
        label: Class id, int64.
        weight: Point weight, float32.
    """

    index: NDArray[np.int64]
    row: NDArray[np.float64]
    col: NDArray[np.float64]
    label: NDArray[np.int64]
    weight: NDArray[np.float32]

    def with_zero_weights(self) -> BatchPoints:
        """Return the same points with weights of 0."""
        return replace(self, weight=np.zeros_like(self.weight))


@dataclass(frozen=True)
class Batch:
    """N patches: raw pixels (N, B, p, p), validity (N, p, p), their points and image names."""

    pixels: NDArray[np.float32]
    valid: NDArray[np.bool_]
    points: BatchPoints
    images: tuple[str, ...] = ()


def plan_epoch(
    points: Points,
    sizes: Mapping[str, tuple[int, int]],
    *,
    patches: int,
    patch_px: int,
    scale: float,
    rng: np.random.Generator,
) -> list[PatchPlan]:
    """Draw the patches of one epoch, each at a random position around a labelled point.

    The numbers of patches per point differ by at most one. A patch lies inside its raster if the raster is large
    enough.

    Args:
        points: Training points, P > 0.
        sizes: Height and width of each raster by image name.
        patches: Number of patches.
        patch_px: Side of a patch.
        scale: Maximum scale factor up or down, >= 1; 1 keeps the ground resolution.
        rng: Source of randomness.

    Returns:
        The plans; each window contains its point.
    """
    rounds = -(-patches // len(points))
    seeds = np.concatenate([rng.permutation(len(points)) for _ in range(rounds)])[:patches]
    plans = []
    for image, row, col in zip(points.image[seeds], points.row[seeds], points.col[seeds], strict=True):
        side = max(2, round(patch_px / scale ** rng.uniform(-1, 1)))
        height, width = sizes[image]
        top = _random_start(row, side=side, size=height, rng=rng)
        left = _random_start(col, side=side, size=width, rng=rng)
        turn = Orientation(int(rng.integers(4)), bool(rng.integers(2)))
        plans.append(PatchPlan(str(image), Window(top, left, side, side), turn))
    return plans


def plan_grid_patches(points: Points, patch_px: int, margin: int = 0) -> list[PatchPlan]:
    """Return the cells of a fixed grid that contain points, without augmentation; each point lies in one cell.

    Each cell of ``patch_px`` is read with ``margin`` pixels of context.
    """
    cells = sorted(set(cell_indices(points, patch_px)))
    windows = [(i, Window(r * patch_px, c * patch_px, patch_px, patch_px)) for i, r, c in cells]
    return [PatchPlan(image, window.padded(margin), margin=margin) for image, window in windows]


def _random_start(position: float, *, side: int, size: int, rng: np.random.Generator) -> int:
    """Draw the first row (or column) of an interval of ``side`` pixels that contains ``position``."""
    pixel = math.floor(position + 0.5)
    first = pixel - int(rng.integers(side))
    inside = min(max(first, 0), max(size - side, 0))
    return inside if size >= side else min(0, max(first, size - side))


def read_batch(
    plans: Sequence[PatchPlan], sources: Mapping[str, PixelSource], points: Points, *, patch_px: int
) -> Batch:
    """Read the planned patches and the points inside them.

    Args:
        plans: N plans.
        sources: Rasters by image name.
        points: All points; each patch gets the points inside it.
        patch_px: Side of a patch, p.
    """
    read = [_read_patch(plan, sources[plan.image], patch_px) for plan in plans]
    carried = [_points_in(plan, points, patch_px) for plan in plans]
    index = np.concatenate([np.full(len(c), n) for n, (_, _, c) in enumerate(carried)])
    chosen = points.take(np.concatenate([c for _, _, c in carried]))
    return Batch(
        pixels=np.stack([p for p, _ in read]),
        valid=np.stack([v for _, v in read]),
        points=BatchPoints(
            index=index.astype(np.int64),
            row=np.concatenate([r for r, _, _ in carried]),
            col=np.concatenate([c for _, c, _ in carried]),
            label=chosen.class_id.astype(np.int64),
            weight=chosen.weight,
        ),
        images=tuple(plan.image for plan in plans),
    )


def _read_patch(
    plan: PatchPlan, source: PixelSource, patch_px: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    pixels, valid = source.read(plan.window)
    if plan.window.height != patch_px:
        pixels = _resampled(pixels, patch_px)
        # A resampled pixel is invalid if an invalid pixel contributes to it.
        valid = _resampled(valid.astype(np.float32), patch_px) > _BILINEAR_SHARE
    return plan.turn.apply_to_array(pixels), plan.turn.apply_to_array(valid)


def _resampled(square: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """Resample the last two axes of a square array bilinearly to another side."""
    for axis in (-2, -1):
        size = square.shape[axis]
        place = np.clip((np.arange(side) + 0.5) * (size / side) - 0.5, 0, size - 1)
        first = place.astype(np.intp)
        share = (place - first).astype(np.float32)
        share = share[:, None] if axis == -2 else share
        before, after = (square.take(at, axis) for at in (first, np.minimum(first + 1, size - 1)))
        square = before + share * (after - before)
    return square


def _points_in(
    plan: PatchPlan, points: Points, patch_px: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.intp]]:
    """Return row and column in the patch, and position in the table, of each point inside."""
    side = plan.window.height
    # Distances from the north-west corner of the window; the first pixel centre is at half a pixel.
    down, across = points.row - plan.window.row + 0.5, points.col - plan.window.col + 0.5
    first, last = plan.margin, side - plan.margin
    is_inside = (down >= first) & (down < last) & (across >= first) & (across < last)
    inside = np.flatnonzero(is_inside & (points.image == plan.image))
    zoom = patch_px / side
    row, col = down[inside] * zoom - 0.5, across[inside] * zoom - 0.5
    return *plan.turn.apply_to_points(row, col, patch_px), inside


def batches(plans: Sequence[PatchPlan], size: int) -> Iterator[Sequence[PatchPlan]]:
    """Yield the plans in batches of ``size``; the last may be smaller."""
    for first in range(0, len(plans), size):
        yield plans[first : first + size]


def read_ahead(
    steps: Sequence[Sequence[PatchPlan]],
    sources: Mapping[str, PixelSource],
    points: Points,
    *,
    patch_px: int,
) -> Iterator[Batch]:
    """Yield the batch of each step; read the next batch in the background."""
    with ThreadPoolExecutor(1) as reader:
        coming: Future[Batch] | None = None
        for step in steps:
            ready, coming = coming, reader.submit(read_batch, step, sources, points, patch_px=patch_px)
            if ready is not None:
                yield ready.result()
        if coming is not None:
            yield coming.result()
