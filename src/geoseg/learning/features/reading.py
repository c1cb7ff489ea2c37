"""Features or logits read at points."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blocks import cell_indices, cell_numbers
from geoseg.domain.choices import stratified_choice
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import Points, join_points, make_points
from geoseg.domain.ports import NullProgress, PixelSource, Progress
from geoseg.errors import TrainingError
from geoseg.learning.features.feature_cache import FeatureCache
from geoseg.learning.features.patches import (
    UNCHANGED,
    BatchPoints,
    Orientation,
    batches,
    plan_grid_patches,
    read_ahead,
)
from geoseg.learning.normalisation import Normalisation
from geoseg.learning.validation import Sample

Floats = NDArray[np.float32]
Extract = Callable[[Floats, BatchPoints], Floats]
"""Features (P, F) at points of normalised images (N, B, H, W)."""
CONTEXT_STEP_PX = 32
"""Context is a multiple of this, the coarsest stride of the networks."""
CONTEXT_DIVISOR = 4
UNLABELLED_SQUARES = 300
UNLABELLED_PER_SQUARE = 10
MAX_POINTS = 50_000


@dataclass(frozen=True)
class FitData:
    """Training data: rasters by image name, their points, the normalisation and the number of classes."""

    sources: Mapping[str, PixelSource]
    points: Points
    normalisation: Normalisation
    classes: int

    @property
    def sizes(self) -> dict[str, tuple[int, int]]:
        """Height and width of each raster."""
        return {name: (source.height, source.width) for name, source in self.sources.items()}


@dataclass(frozen=True)
class PointFeatures:
    """Features of P points.

    Attributes:
        values: (P, F), float32.
        label: Class ids (P,), int64.
        weight: Point weights (P,).
        valid: Whether the raster is valid at each point (P,).
    """

    values: Floats
    label: NDArray[np.int64]
    weight: Floats
    valid: NDArray[np.bool_]

    def take(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> PointFeatures:
        """Return the rows where ``chosen`` is true, or those at its positions, in their order."""
        return PointFeatures(*(column[chosen] for column in vars(self).values()))

    def to_sample(self, places: NDArray[np.int64]) -> Sample:
        """Convert to a sample for fitting, given the block numbers of the points (P,)."""
        return Sample(self.values, self.label, self.weight.astype(np.float64), places)


@dataclass(frozen=True)
class LabelledFeatures:
    """Features to fit a head to.

    Attributes:
        views: Features of the points in each orientation, the original one first.
        points: The points, in the order of their features.
        unlabelled: Features at random pixels.
    """

    views: tuple[PointFeatures, ...]
    points: Points
    unlabelled: PointFeatures

    def take(self, chosen: NDArray[np.int64]) -> LabelledFeatures:
        """Return the features of the chosen points."""
        views = tuple(view.take(chosen) for view in self.views)
        return LabelledFeatures(views, self.points.take(chosen), self.unlabelled)


@dataclass(frozen=True)
class Reader:
    """How rasters are read.

    Attributes:
        patch_px: Side of the cells in pixels.
        margin_px: Context around each cell in pixels.
        batch: Cells per batch.
        turn: Rotation and flip of the cells before features are computed.
        views: Number of orientations (rotations and flips) in which labelled points are read.
        has_flexible_cells: Whether cells may be up to twice as wide as ``patch_px``, or smaller, where fewer pixels are
            then read. The margin must hold all that features of a point depend on.
    """

    patch_px: int
    margin_px: int = 0
    batch: int = 8
    turn: Orientation = UNCHANGED
    views: int = 1
    has_flexible_cells: bool = False

    @property
    def square_px(self) -> int:
        """Side of the squares from which unlabelled pixels are drawn."""
        return min(self.patch_px, CONTEXT_STEP_PX) if self.has_flexible_cells else self.patch_px

    def cheapest_cell_px(self, points: Points) -> int:
        """Return the side of cells that reads the fewest pixels, margins included: few points need small cells."""
        sides = [2 * self.patch_px, self.patch_px] if self.has_flexible_cells else [self.patch_px]
        while self.has_flexible_cells and sides[-1] % (2 * CONTEXT_STEP_PX) == 0:
            sides.append(sides[-1] // 2)
        pixels = {
            side: len(set(cell_indices(points, side))) * (side + 2 * self.margin_px) ** 2 for side in sides
        }
        return min(sides, key=pixels.__getitem__)


def context_around(patch_px: int) -> int:
    """Return the context to read around cells of this side: a quarter of it, rounded down to multiples of 32 px."""
    return max(CONTEXT_STEP_PX, patch_px // CONTEXT_DIVISOR // CONTEXT_STEP_PX * CONTEXT_STEP_PX)


def read_features(
    extract: Extract,
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read features at the points.

    The points are read cell by cell in a fixed grid. They come back in the order of :func:`sort_by_cell`, whatever the
    cells are.

    Args:
        extract: Function from normalised images (N, B, H, W) and points in them to features (P, F).
        points: Points to read at, P > 0.
        data: Rasters and their normalisation.
        reader: How to read.
        progress: Progress of the reading, one step per cell.
    """
    progress = progress or NullProgress()
    points = sort_by_cell(points, reader.patch_px)
    cell_px = reader.cheapest_cell_px(points)
    cover = plan_grid_patches(points, cell_px, reader.margin_px)
    plans = [replace(plan, turn=reader.turn) for plan in cover]
    side = cell_px + 2 * reader.margin_px
    parts = list[tuple[NDArray[Any], ...]]()
    progress.start("Reading features" if reader.turn == UNCHANGED else "Reading features, turned", len(plans))
    steps = list(batches(plans, reader.batch))
    for one in read_ahead(steps, data.sources, points, patch_px=side):
        at = one.points
        found = extract(data.normalisation.apply(one.pixels, one.valid), at)
        valid = one.valid[at.index, (at.row + 0.5).astype(np.intp), (at.col + 0.5).astype(np.intp)]
        parts.append((found, at.label, at.weight, valid))
        progress.advance(len(one.pixels))
    as_read = PointFeatures(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))
    return as_read.take(np.argsort(np.argsort(cell_numbers(points, cell_px), kind="stable"), kind="stable"))


def read_cached_features(
    extract: Extract,
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read as :func:`read_features` does, but only points missing from the cache, and store these.

    The result is the same. A warning is given if the cache cannot be written.
    """
    progress = progress or NullProgress()
    points = sort_by_cell(points, reader.patch_px)
    known = cache.find(points)
    values, valid = known.values, known.valid
    if not known.is_known.all():
        missing = points.take(~known.is_known)
        new = read_features(extract, missing, data, reader=reader, progress=progress)
        if values.shape[1] != new.values.shape[1]:
            values = np.zeros((len(points), new.values.shape[1]), np.float32)
        values[~known.is_known], valid[~known.is_known] = new.values, new.valid
        try:
            cache.store(missing, new.values, new.valid)
        except OSError as error:
            progress.warn(f"Features could not be cached for the next training: {error}.")
    return PointFeatures(values, points.class_id.astype(np.int64), points.weight, valid)


def draw_unlabelled(sizes: Mapping[str, tuple[int, int]], square_px: int, seed: int) -> Points:
    """Draw 3,000 random pixels of class 255, all equally likely, for the estimation of class proportions.

    They come from 300 squares of a grid, 10 pixels from each, so that few cells are read. The squares are spread evenly
    over the rasters; a large square may be drawn more than once.

    Args:
        sizes: Height and width of each raster by image name.
        square_px: Side of the squares; those at the edges are smaller.
        seed: Seed of the draw.
    """
    rng = np.random.default_rng([seed, UNLABELLED_SQUARES])
    names = sorted(sizes)
    ends = np.cumsum([sizes[name][0] * sizes[name][1] for name in names])
    # A square is drawn by one of its pixels, and so in proportion to its area.
    shares = (np.arange(UNLABELLED_SQUARES) + rng.random(UNLABELLED_SQUARES)) / UNLABELLED_SQUARES
    anchors = np.minimum((shares * ends[-1]).astype(np.int64), ends[-1] - 1)
    rasters = np.searchsorted(ends, anchors, side="right")
    drawn = []
    for n, name in enumerate(names):
        height, width = sizes[name]
        first = np.divmod(anchors[rasters == n] - (ends[n] - height * width), width)
        places = [
            start[:, None]
            + rng.integers(
                np.minimum(square_px, size - start)[:, None], size=(len(start), UNLABELLED_PER_SQUARE)
            )
            for start, size in zip(
                (axis // square_px * square_px for axis in first), (height, width), strict=True
            )
        ]
        row, col = (axis.ravel().astype(np.float64) for axis in places)
        drawn.append(make_points(name, row, col, np.full(len(row), UNLABELLED)))
    return join_points(drawn)


def subsample_points(points: Points, most: int | None = None) -> Points:
    """Return a stratified random subset of at most ``most`` points (default 50,000), to limit the memory of features."""
    return points.take(stratified_choice(points.class_id, most or MAX_POINTS))


def sort_by_cell(points: Points, patch_px: int) -> Points:
    """Sort the points by their cells in the grid, the order in which they are read."""
    return points.take(np.argsort(cell_numbers(points, patch_px), kind="stable"))


def read_labelled_and_unlabelled(
    extract: Extract,
    data: FitData,
    *,
    reader: Reader,
    seed: int,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> tuple[PointFeatures, PointFeatures]:
    """Read features at the labelled points and at random unlabelled pixels, in one pass over the cells.

    Of more than 50,000 points a random subset is read (:func:`subsample_points`). Cached points are not read again.

    Raises:
        TrainingError: The points have fewer than two classes.
    """
    if len(np.unique(data.points.class_id)) < 2:
        raise TrainingError("the points are all of one class", expected="points of two classes or more")
    every = join_points([subsample_points(data.points), draw_unlabelled(data.sizes, reader.square_px, seed)])
    reading = _read(extract, every, data, reader=reader, cache=cache, progress=progress)
    is_unlabelled = reading.label == UNLABELLED
    return reading.take(~is_unlabelled), reading.take(is_unlabelled & reading.valid)


def read_augmented(
    extract: Extract,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache | None = None,
    progress: Progress | None = None,
) -> PointFeatures:
    """Read features at the labelled points, rotated and flipped as ``reader.turn`` says.

    The points and their order are those of :func:`read_labelled_and_unlabelled`.
    """
    return _read(extract, subsample_points(data.points), data, reader=reader, cache=cache, progress=progress)


def _read(
    extract: Extract,
    points: Points,
    data: FitData,
    *,
    reader: Reader,
    cache: FeatureCache | None,
    progress: Progress | None,
) -> PointFeatures:
    if cache is None:
        return read_features(extract, points, data, reader=reader, progress=progress)
    cache = replace(cache, network=f"{cache.network} {reader.turn}")
    return read_cached_features(extract, points, data, reader=reader, cache=cache, progress=progress)
