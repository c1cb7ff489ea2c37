"""What a training is made from: rasters, points on them, and the statistics of their pixels."""

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
from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.pixels.value_ranges import RasterValues
from geoseg.domain.points import CHECK, TRAIN, Points, join_points, make_points
from geoseg.domain.ports import Progress
from geoseg.domain.windows import Window, grid, strips
from geoseg.errors import LegendError, PointsError, RasterError, SettingsError
from geoseg.geodata.points.dropped_points import DroppedPoints, describe_dropped
from geoseg.geodata.reading.rasters import Raster, Validity
from geoseg.learning.normalisation import Normalisation, Pair, measure_normalisation
from geoseg.networks.features.patches import plan_grid_patches
from geoseg.networks.features.point_features import FitData
from geoseg.settings import TrainSettings
from geoseg.workflows.inputs import (
    Inputs,
    Rasters,
    find_inputs,
    open_rasters,
    point_options,
    read_usable_points,
)
from geoseg.workflows.training.class_proportions import stated_shares
from geoseg.workflows.training.holding_out import report_blocks
from geoseg.workflows.value_check import check_training_values

NORMALISATION_WINDOWS = 256
LEAST_OF_A_CLASS = 3
"""Training points of a class below which nothing is learnt of how it varies."""
_EVERY_PX = 2
_MOST_LABELS = 4_000_000
_STRIP_PX = 256


@dataclass(frozen=True)
class TrainingData:
    """What there is to train on.

    Attributes:
        rasters: The rasters.
        legend: The classes.
        data: Rasters, points and normalisation.
        shares: Class proportions of the land (C,), where they are known.
        values: Statistics of the values of the rasters that hold points.
        blocks: The blocks that points were held out by, where they were held out here.
        dropped: Points of the files that could not be used; None where all labels of masks are.
    """

    rasters: Rasters
    legend: Legend
    data: FitData
    shares: NDArray[np.float64] | None
    values: RasterValues
    blocks: Blocks | None = None
    dropped: DroppedPoints | None = None

    @property
    def teaching(self) -> FitData:
        """The data with those points alone that are fitted to: of role train, with a weight."""
        return replace(self.data, points=self.data.points.with_role(TRAIN).with_positive_weight())


def gather(
    settings: TrainSettings, stack: ExitStack, progress: Progress, *, check_share: float
) -> TrainingData:
    """Open the rasters, read the points, and hold out a share of them by place unless some are held out already."""
    is_full = settings.points is None
    split = settings.split if settings.data.is_dir() else None
    inputs = find_inputs(
        settings.data,
        split=split,
        legend=settings.legend,
        masks_needed=is_full,
        mask_values=settings.mask_values,
    )
    validity = Validity(settings.nodata, settings.strict_nodata)
    rasters = open_rasters(inputs.images, settings.bands, stack, validity=validity)
    dropped = rows = None
    if settings.points is None:
        points, legend = _all_labels(inputs, rasters, progress)
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
        apart = _apart_from(points, usable.points, where=settings.check_points, progress=progress)
        points = join_points([points, replace(apart, role=np.full(len(apart), CHECK))])
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
    normalisation = _normalisation(rasters.sources, points, settings.patch, indices=indices)
    shares = stated_shares(settings, rasters, legend, progress=progress)
    data = FitData(rasters.sources, points, normalisation, len(legend))
    return TrainingData(rasters, legend, data, shares, values, blocks, dropped)


def _apart_from(taught: Points, checks: Points, *, where: Path, progress: Progress) -> Points:
    """Return the check points whose pixel has no training point; one that has would check nothing.

    Raises:
        PointsError: There is no such check point.
    """
    taken = set(_pixels(taught))
    apart = np.array([pixel not in taken for pixel in _pixels(checks)], np.bool_)
    shared = int((~apart).sum())
    if not apart.any():
        raise PointsError(
            "all check points are training points, so they check nothing",
            where=where,
            expected="points on other pixels",
            got=f"{shared} on pixels of training points",
            hint="Name points that are not trained on, in other places.",
        )
    if shared:
        progress.warn(
            f"{where.name}: {shared} of {len(checks)} check points lie on pixels of training points and are left out."
        )
    return checks.take(apart)


def _pixels(points: Points) -> list[tuple[str, int, int]]:
    """Return image, row and column of the pixel under each point."""
    rows, cols = (np.floor(part + 0.5).astype(np.int64).tolist() for part in (points.row, points.col))
    return list(zip(points.image.tolist(), rows, cols, strict=True))


def _all_labels(inputs: Inputs, rasters: Rasters, progress: Progress) -> tuple[Points, Legend]:
    """Return points on a quarter of the labelled pixels of the masks, or on fewer: about four million at most.

    Each small square of pixels gives one pixel at random.

    Labels on nodata are dropped and counted, as points are.
    """
    if inputs.legend is None:
        raise LegendError("this folder has no legend", where="--recipe full", hint="Name one with --legend.")
    legend = inputs.legend
    labelled = sum(
        int((inputs.read_truth(n, legend, info) != UNLABELLED).sum()) for n, info in rasters.infos.items()
    )
    every = max(_EVERY_PX, math.ceil(math.sqrt(labelled / _MOST_LABELS)))
    parts, asked = [], 0
    rng = np.random.default_rng(every)
    for name, info in rasters.infos.items():
        mask = inputs.read_truth(name, legend, info)
        row, col = _labels_of_squares(mask, every, rng)
        asked += len(row)
        is_valid = _valid(rasters.sources[name])[row, col]
        row, col = row[is_valid], col[is_valid]
        parts.append(make_points(name, row.astype(np.float64), col.astype(np.float64), mask[row, col]))
    points = join_points(parts)
    if len(points) < asked:
        said = describe_dropped({"on nodata": asked - len(points)}, asked)
        if not len(points):
            raise PointsError("no label can be used", where="--recipe full", got=said.rstrip("."))
        progress.warn(said)
    return points, legend


def _labels_of_squares(
    mask: NDArray[np.uint8], side: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return row and column of a random pixel of each square of a mask (H, W), where that has a label.

    Squares that the edge cuts off give one in proportion to their area.
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
    """Return where a raster is valid, (H, W), without its pixels in memory all at once."""
    windows = strips(raster.height, raster.width, _STRIP_PX)
    return np.concatenate([raster.read(window)[1] for window in windows])


def _describe(points: Points, legend: Legend, where: object) -> str:
    counts = points.counts(len(legend))
    taught = points.with_role(TRAIN).with_positive_weight().counts(len(legend))
    without = [n for n, c in zip(legend.names, taught, strict=True) if not c]
    if len(without) == len(legend):
        checks = len(points.with_role(CHECK))
        raise PointsError(
            "no point is left to train on",
            where=where,
            expected="points of role train and of a weight above 0",
            got=f"{checks} of role check and {len(points) - checks} of weight 0",
            hint="Correct the columns role and weight, or add points.",
        )
    text = ", ".join(f"{n} {c}" for n, c in zip(legend.names, counts, strict=True))
    held, images = len(points.with_role(CHECK)), len(np.unique(points.image))
    note = f" No point of {', '.join(without)}: the map will not show it." if without else ""
    held_out = f", {held} of them held out" if held else ""
    return f"{len(points)} points on {images} raster(s){held_out} ({text}).{note}"


def _check_enough(
    points: Points, legend: Legend, rows: Sequence[int] | None, *, where: object, progress: Progress
) -> None:
    """Refuse points of one class, and warn of classes with too few points to learn from.

    Args:
        points: Points, those to train on among them.
        legend: The classes.
        rows: Rows of the point file by class (C,): the pixels of one polygon are much like one point.
        where: The file, for the error.
        progress: Told of the warning.

    Raises:
        PointsError: The points to train on are all of one class.
    """
    counts = points.with_role(TRAIN).with_positive_weight().counts(len(legend))
    named = [(name, int(count)) for name, count in zip(legend.names, counts, strict=True) if count]
    if len(named) == 1:
        [(name, count)] = named
        raise PointsError(
            "the points to train on are all of one class, so the map would show nothing else",
            where=where,
            expected="points of two classes or more",
            got=f"{count} of {name}",
            hint="Add points of what is not this class, such as a class background.",
        )
    counts = counts if rows is None else np.minimum(counts, rows)
    few = [
        f"{name} {count}"
        for name, count in zip(legend.names, counts, strict=True)
        if 0 < count < LEAST_OF_A_CLASS
    ]
    if few:
        progress.warn(
            f"Too few points to learn from: {', '.join(few)}. The map of these classes will be unreliable, and their errors "
            "cannot be estimated. Aim at 10 or more points of each class, in several parts of the raster."
        )


def _positions(indices: Sequence[Pair], bands: Sequence[int]) -> tuple[Pair, ...]:
    """Return the indices, given as bands of the raster, as positions among the bands that are used."""
    missing = sorted({band for pair in indices for band in pair} - set(bands))
    if missing:
        raise SettingsError(
            "an index needs a band that is not used",
            where="--indices",
            expected=f"of the bands {', '.join(map(str, bands))}",
            got=", ".join(map(str, missing)),
            hint="Name all bands that are used with --bands, those of the indices too.",
        )
    return tuple((bands.index(one), bands.index(other)) for one, other in indices)


def _normalisation(
    sources: Mapping[str, Raster], points: Points, patch_px: int, *, indices: Sequence[Pair]
) -> Normalisation:
    """Measure band statistics over windows of the rasters that hold points, at most 256 of them, chosen at random.

    They do not change when points are added, nor do the features that a frozen network reads. Land without a valid
    pixel in these windows is measured around the points.
    """
    land = [
        (name, window)
        for name in sorted({str(image) for image in points.image})
        for window in grid(sources[name].height, sources[name].width, patch_px)
    ]
    cells = [(cell.image, cell.window) for cell in plan_grid_patches(points, patch_px)]
    try:
        return _measure(sources, land, indices)
    except ValueError:
        pass
    try:
        return _measure(sources, cells, indices)
    except ValueError as error:
        raise RasterError(
            "not one pixel around the labels is valid",
            where=", ".join(sources[name].info.path.name for name in sorted({name for name, _ in cells})),
            expected="images that are not all nodata",
        ) from error


def _measure(
    sources: Mapping[str, Raster], windows: Sequence[tuple[str, Window]], indices: Sequence[Pair]
) -> Normalisation:
    # The seed is fixed: the features of a frozen network, which are kept on disk, depend on the normalisation.
    chosen = stratified_choice([name for name, _ in windows], NORMALISATION_WINDOWS)
    samples = (sources[name].read(window) for name, window in (windows[k] for k in chosen))
    return measure_normalisation(samples, indices)
