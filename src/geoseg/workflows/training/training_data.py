"""Load the data of a training: rasters, points on them, and pixel statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blocks import Blocks, hold_out
from geoseg.domain.choices import stratified_choice
from geoseg.domain.class_names import few_points
from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.pixels.value_ranges import RasterValues
from geoseg.domain.points import CHECK, TRAIN, Points, join_points, make_points
from geoseg.domain.ports import Progress
from geoseg.domain.windows import Window, grid, strips
from geoseg.errors import LegendError, PointsError, RasterError, SettingsError
from geoseg.geodata.points.dropped_points import DroppedPoints, describe_dropped
from geoseg.geodata.reading.rasters import Raster, Validity
from geoseg.learning.features.patches import plan_grid_patches
from geoseg.learning.features.reading import FitData
from geoseg.learning.normalisation import Normalisation, Pair, measure_normalisation, no_normalisation
from geoseg.settings import TrainSettings
from geoseg.workflows.inputs import (
    Inputs,
    Rasters,
    find_inputs,
    open_rasters,
    point_options,
    read_usable_points,
)
from geoseg.workflows.training.class_proportions import given_proportions
from geoseg.workflows.training.feature_inputs import find_feature_space
from geoseg.workflows.training.holding_out import report_blocks
from geoseg.workflows.value_check import check_training_values

NORMALISATION_WINDOWS = 256
MIN_POINTS_PER_CLASS = 3
"""With fewer training points, the variation within a class is unknown."""
_MIN_BLOCK_PX = 2
_MAX_MASK_POINTS = 4_000_000
_STRIP_PX = 256


@dataclass(frozen=True)
class TrainingData:
    """Data of a training.

    Attributes:
        rasters: The rasters.
        legend: The classes.
        data: Rasters, points and normalisation.
        shares: Class proportions (C,) given by the user, or None.
        values: Statistics of the pixel values of the rasters with points.
        blocks: The blocks used to hold out points, or None.
        dropped: Unusable points of the files; None if the points come from masks.
        feature_space: The space of the rasters' vectors, for rasters of features; None for images.
    """

    rasters: Rasters
    legend: Legend
    data: FitData
    shares: NDArray[np.float64] | None
    values: RasterValues
    blocks: Blocks | None = None
    dropped: DroppedPoints | None = None
    feature_space: FeatureSpace | None = None

    @property
    def fit_data(self) -> FitData:
        """The data with the points to fit to: role train and a weight above 0."""
        return replace(self.data, points=self.data.points.with_role(TRAIN).with_positive_weight())


def load_training_data(
    settings: TrainSettings,
    stack: ExitStack,
    progress: Progress,
    *,
    check_share: float,
    inputs: Inputs | None = None,
) -> TrainingData:
    """Open the rasters, read the points, and hold out a share of them by blocks unless check points exist."""
    is_full = settings.points is None
    split = settings.split if settings.data.is_dir() else None
    inputs = inputs or find_inputs(
        settings.data,
        split=split,
        legend=settings.legend,
        masks_needed=is_full,
        mask_values=settings.mask_values,
    )
    feature_space = find_feature_space(inputs.images, settings)
    # A vector without some of its values means nothing.
    validity = Validity(settings.nodata, settings.strict_nodata or feature_space is not None)
    rasters = open_rasters(inputs.images, settings.bands, stack, validity=validity)
    for info in rasters.infos.values():
        for note in info.notes:
            progress.say(note)
    dropped = rows = None
    if settings.points is None:
        points, legend = _points_from_masks(inputs, rasters, progress)
        inputs.report_masks(progress)
    else:
        usable = read_usable_points(
            settings.points,
            rasters,
            legend=inputs.legend,
            options=point_options(settings),
            progress=progress,
        )
        points, legend, dropped, rows = usable.points, usable.legend, usable.dropped, usable.counts
    blocks = None
    if settings.check_points is not None:
        usable = read_usable_points(
            settings.check_points,
            rasters,
            legend=legend,
            options=replace(point_options(settings), layer=None),
            progress=progress,
        )
        for warning in few_points(usable.counts, legend.names):
            progress.warn(f"{settings.check_points.name}: {warning}")
        if dropped is not None:
            dropped = dropped.with_other_file(usable.dropped)
        points = points.with_role(TRAIN)
        checks = _independent_checks(points, usable.points, where=settings.check_points, progress=progress)
        points = join_points([points, replace(checks, role=np.full(len(checks), CHECK))])
    elif check_share and not len(points.with_role(CHECK)):
        points, blocks = hold_out(points, check_share, patch_px=settings.patch, seed=settings.seed)
        report_blocks(blocks, progress)
    where = settings.points or settings.data
    progress.say(_describe(points, legend, where))
    _check_enough(points, legend, rows, where=where, progress=progress)
    images = {str(image) for image in points.image}
    values, notes = check_training_values(
        rasters.sources, images, rasters.bands, any_values=settings.any_values
    )
    for note in notes:
        progress.warn(note)
    indices = _positions(settings.indices, rasters.bands)
    normalisation = (
        point_normalisation(rasters.sources, points, settings.patch, indices=indices)
        if feature_space is None
        else no_normalisation(len(rasters.bands))
    )
    shares = given_proportions(settings, rasters, legend, progress=progress)
    data = FitData(rasters.sources, points, normalisation, len(legend))
    return TrainingData(rasters, legend, data, shares, values, blocks, dropped, feature_space)


def _independent_checks(training: Points, checks: Points, *, where: Path, progress: Progress) -> Points:
    """Return the check points on pixels without a training point.

    Raises:
        PointsError: All check points lie on pixels of training points.
    """
    trained_pixels = set(_pixels(training))
    is_independent = np.array([pixel not in trained_pixels for pixel in _pixels(checks)], np.bool_)
    shared = int((~is_independent).sum())
    if not is_independent.any():
        raise PointsError(
            "all check points are training points",
            where=where,
            expected="points on other pixels",
            got=f"{shared} on pixels of training points",
            hint="Give points in other places that are not used for training.",
        )
    if shared:
        progress.warn(
            f"{where.name}: {shared} of {len(checks)} check points lie on pixels of training points and are excluded."
        )
    return checks.take(is_independent)


def _pixels(points: Points) -> list[tuple[str, int, int]]:
    """Return image, row and column of the pixel under each point."""
    rows, cols = (np.floor(part + 0.5).astype(np.int64).tolist() for part in (points.row, points.col))
    return list(zip(points.image.tolist(), rows, cols, strict=True))


def _points_from_masks(inputs: Inputs, rasters: Rasters, progress: Progress) -> tuple[Points, Legend]:
    """Return points on a quarter of the labelled pixels of the masks, at most about four million.

    Each small square of pixels gives one random pixel. Drop and count labels on nodata, as for points.
    """
    if inputs.legend is None:
        raise LegendError("this folder has no legend", where="--recipe full", hint="Give one with --legend.")
    legend = inputs.legend
    labelled = sum(
        int((inputs.read_truth(n, legend, info) != UNLABELLED).sum()) for n, info in rasters.infos.items()
    )
    block_px = max(_MIN_BLOCK_PX, math.ceil(math.sqrt(labelled / _MAX_MASK_POINTS)))
    parts, drawn = [], 0
    rng = np.random.default_rng(block_px)
    for name, info in rasters.infos.items():
        mask = inputs.read_truth(name, legend, info)
        row, col = _sample_blocks(mask, block_px, rng)
        drawn += len(row)
        is_valid = _valid(rasters.sources[name])[row, col]
        row, col = row[is_valid], col[is_valid]
        parts.append(make_points(name, row.astype(np.float64), col.astype(np.float64), mask[row, col]))
    points = join_points(parts)
    if len(points) < drawn:
        dropped = describe_dropped({"on nodata": drawn - len(points)}, drawn)
        if not len(points):
            hint = "Check the nodata values, masks and alpha bands of the rasters."
            raise PointsError("no usable label", where="--recipe full", got=dropped.rstrip("."), hint=hint)
        progress.warn(dropped)
    return points, legend


def _sample_blocks(
    mask: NDArray[np.uint8], side: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Draw a random pixel in each square of a mask (H, W); return row and column of the labelled ones.

    Squares cut off by the edge give a pixel with a probability proportional to their area.
    """
    height, width = mask.shape
    found = []
    for strip in strips(height, width, side * _STRIP_PX):
        row, col = np.mgrid[strip.row : strip.row + strip.height : side, 0:width:side]
        row += rng.integers(min(side, height), size=row.shape)
        col += rng.integers(min(side, width), size=col.shape)
        inside = (row < height) & (col < width)
        row, col = row[inside], col[inside]
        is_labelled = mask[row, col] != UNLABELLED
        found.append((row[is_labelled], col[is_labelled]))
    rows, cols = zip(*found, strict=True)
    return np.concatenate(rows), np.concatenate(cols)


def _valid(raster: Raster) -> NDArray[np.bool_]:
    """Return the valid mask (H, W) of a raster. Read its pixels strip by strip."""
    windows = strips(raster.height, raster.width, _STRIP_PX)
    return np.concatenate([raster.read(window)[1] for window in windows])


def _describe(points: Points, legend: Legend, where: object) -> str:
    counts = points.counts(len(legend))
    training = points.with_role(TRAIN).with_positive_weight().counts(len(legend))
    without = [n for n, c in zip(legend.names, training, strict=True) if not c]
    if len(without) == len(legend):
        checks = len(points.with_role(CHECK))
        raise PointsError(
            "no training point is left",
            where=where,
            expected="points with role train and a weight above 0",
            got=f"{checks} points with role check and {len(points) - checks} with weight 0",
            hint="Correct the columns role and weight, or add points.",
        )
    text = ", ".join(f"{n} {c}" for n, c in zip(legend.names, counts, strict=True))
    held, images = len(points.with_role(CHECK)), len(np.unique(points.image))
    note = f" No point of {', '.join(without)}: the map will not contain it." if without else ""
    held_out = f", {held} of them held out" if held else ""
    return f"{len(points)} points on {images} raster(s){held_out} ({text}).{note}"


def _check_enough(
    points: Points, legend: Legend, rows: Sequence[int] | None, *, where: object, progress: Progress
) -> None:
    """Check that the training points have two classes or more, and warn of classes with too few points.

    Args:
        points: All points, including check points.
        legend: The classes.
        rows: Number of rows of the point file by class (C,). The pixels of one polygon count as one row.
        where: The file, for the error.
        progress: Receives the warning.

    Raises:
        PointsError: All training points have the same class.
    """
    counts = points.with_role(TRAIN).with_positive_weight().counts(len(legend))
    named = [(name, int(count)) for name, count in zip(legend.names, counts, strict=True) if count]
    if len(named) == 1:
        [(name, count)] = named
        raise PointsError(
            "all training points have the same class",
            where=where,
            expected="points of two classes or more",
            got=f"{count} of {name}",
            hint="Add points of other classes, for example of a class background.",
        )
    counts = counts if rows is None else np.minimum(counts, rows)
    few = [
        f"{name} {count}"
        for name, count in zip(legend.names, counts, strict=True)
        if 0 < count < MIN_POINTS_PER_CLASS
    ]
    if few:
        progress.warn(
            f"Too few training points: {', '.join(few)}. The map of these classes will be unreliable, and their errors "
            "cannot be estimated. Use at least 10 points per class, in several parts of the raster."
        )


def _positions(indices: Sequence[Pair], bands: Sequence[int]) -> tuple[Pair, ...]:
    """Convert spectral indices from band numbers of the raster to positions among the used bands."""
    missing = sorted({band for pair in indices for band in pair} - set(bands))
    if missing:
        raise SettingsError(
            "a spectral index needs a band that is not used",
            where="--indices",
            expected=f"bands among {', '.join(map(str, bands))}",
            got=", ".join(map(str, missing)),
            hint="List all used bands with --bands, including those of the indices.",
        )
    return tuple((bands.index(first), bands.index(second)) for first, second in indices)


def point_normalisation(
    sources: Mapping[str, Raster], points: Points, patch_px: int, *, indices: Sequence[Pair]
) -> Normalisation:
    """Measure band statistics over at most 256 random windows of the rasters with points.

    The statistics do not change when points are added on the same rasters, so cached features of a frozen network stay
    valid. If these windows have no valid pixel, measure windows around the points.
    """
    windows = [
        (name, window)
        for name in sorted({str(image) for image in points.image})
        for window in grid(sources[name].height, sources[name].width, patch_px)
    ]
    cells = [(cell.image, cell.window) for cell in plan_grid_patches(points, patch_px)]
    try:
        return _measure(sources, windows, indices)
    except ValueError:
        pass
    try:
        return _measure(sources, cells, indices)
    except ValueError as error:
        raise RasterError(
            "no pixel around the points is valid",
            where=", ".join(sources[name].info.path.name for name in sorted({name for name, _ in cells})),
            expected="images that are not all nodata",
        ) from error


def _measure(
    sources: Mapping[str, Raster], windows: Sequence[tuple[str, Window]], indices: Sequence[Pair]
) -> Normalisation:
    # The seed is fixed because cached features of a frozen network depend on the normalisation.
    chosen = stratified_choice([name for name, _ in windows], NORMALISATION_WINDOWS)
    samples = (sources[name].read(window) for name, window in (windows[k] for k in chosen))
    return measure_normalisation(samples, indices)
