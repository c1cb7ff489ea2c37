"""Split a point file into training points and check points, by place."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.domain.blocks import Blocks, assign_blocks, cell_numbers, hold_out
from geoseg.domain.legend import Legend
from geoseg.domain.points import CHECK, TRAIN, Points
from geoseg.domain.ports import Progress, PythonWarnings, WarningRecorder
from geoseg.errors import PointsError
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.file_kinds import SPLIT
from geoseg.geodata.points.audit import audit_points
from geoseg.geodata.points.point_classes import find_classes
from geoseg.geodata.points.point_frames import (
    PointFrame,
    frame_of_extent,
    frame_of_pixels,
    frame_of_raster,
)
from geoseg.geodata.points.point_places import OUTSIDE, is_on
from geoseg.geodata.points.point_tables import PointTable, read_point_table
from geoseg.geodata.points.split_files import write_rows
from geoseg.geodata.reading.rasters import describe_raster, open_raster
from geoseg.settings.points import BLOCK_PX, SplitSettings
from geoseg.workflows.inputs import point_options
from geoseg.workflows.library_errors import translate_library_errors

_FEW_BLOCKS = 3


@dataclass(frozen=True)
class Split:
    """A split of a point file.

    Attributes:
        train: File of the training points.
        check: File of the check points.
        counts: Number of training points and of check points by class.
        statement: How the check points were chosen, in one sentence or two.
        left_out: Number of rows in neither file by reason.
        warnings: Possible problems, one sentence each.
    """

    train: Path
    check: Path
    counts: dict[str, tuple[int, int]]
    statement: str
    left_out: dict[str, int]
    warnings: tuple[str, ...]

    def to_record(self) -> dict[str, Any]:
        """Return the split as JSON values."""
        return {
            "train": str(self.train),
            "check": str(self.check),
            "by_class": {
                name: dict(zip((TRAIN, CHECK), pair, strict=True)) for name, pair in self.counts.items()
            },
            "statement": self.statement,
            "left_out": self.left_out,
            "warnings": list(self.warnings),
        }


@translate_library_errors
def split(settings: SplitSettings, progress: Progress | None = None) -> Split:
    """Write two point files: training points, and check points in other places.

    The rows keep their columns and geometries; the column ``role`` says train or check. The result does not depend on the
    order of the rows. A class table merges classes for the choice alone, so that it applies again when the files are read.

    Raises:
        PointsError: The file cannot be read, or its points lie in too few places.
        RasterError: The raster cannot be read.
        OutputError: A file exists and is not an earlier split, or cannot be written.
    """
    noted = WarningRecorder(progress or PythonWarnings())
    stem = settings.points.stem
    train, check = (settings.output / f"{stem}-{role}.gpkg" for role in (TRAIN, CHECK))
    check_apart([train, check], [settings.points, settings.raster, settings.classes])
    for path in (train, check):
        check_output(path, SPLIT, overwrite=settings.overwrite)
    options = point_options(settings)
    table = read_point_table(settings.points, options)
    if not len(table):
        raise PointsError("the file has no points", where=settings.points)
    classes = find_classes(table, None, column=options.class_column, class_table=options.class_table)
    frame = _frame(settings, table)
    is_placed = np.isfinite(frame.points.row) & np.isfinite(frame.points.col)
    fault = np.where(is_placed, classes.fault, "without a position")
    placed = replace(frame.points, class_id=classes.matched.class_id)
    if settings.raster is not None:
        fault = _faults_on_raster(placed, fault, table, raster=settings.raster)
    usable = np.flatnonzero(fault == "")
    points = placed.take(usable)
    is_check, statement = _check_points(settings, frame, points)
    roles = np.full(len(table), "", dtype="U5")
    roles[usable] = np.where(is_check, CHECK, TRAIN)
    legend = classes.matched.legend
    counts = _counts(points, is_check, legend)
    for warning in [*table.warnings, *classes.warnings, *_doubts(counts, table, fault)]:
        noted.warn(warning)
    for path, role in ((train, TRAIN), (check, CHECK)):
        write_rows(path, table, roles == role, role=role, overwrite=settings.overwrite)
    reasons, numbers = np.unique(fault[fault != ""], return_counts=True)
    left_out = dict(zip(reasons.tolist(), numbers.tolist(), strict=True))
    return Split(train, check, counts, statement, left_out, tuple(noted.warnings))


def _frame(settings: SplitSettings, table: PointTable) -> PointFrame:
    block_px = settings.block or BLOCK_PX
    if settings.raster is not None:
        return frame_of_raster(table, describe_raster(settings.raster), block_px)
    return frame_of_pixels(table, block_px) if table.xy is None else frame_of_extent(table, block_px)


def _faults_on_raster(
    points: Points, fault: NDArray[np.str_], table: PointTable, *, raster: Path
) -> NDArray[np.str_]:
    """Return the reasons (P,) with those of rows that training on the raster would drop.

    Of lines and polygons, only the position is checked.
    """
    found = fault.astype(object)
    with open_raster(raster) as source:
        found[(found == "") & ~is_on(source.info, points.row, points.col)] = OUTSIDE[1]
        is_point = np.ones(len(table), np.bool_) if table.shapes is None else shapely.is_missing(table.shapes)
        checked = np.flatnonzero((found == "") & is_point)
        own = replace(points, image=np.full(len(points), raster.stem)).take(checked)
        found[checked] = audit_points(own, {raster.stem: source})
    return found.astype(np.str_)


def _check_points(
    settings: SplitSettings, frame: PointFrame, points: Points
) -> tuple[NDArray[np.bool_], str]:
    """Return which points are check points (P,), and how they were chosen."""
    if not settings.by_place:
        shares = (1 - settings.check, settings.check)
        pixels = cell_numbers(points, 1)
        group = assign_blocks(points.class_id, pixels, shares, seed=settings.seed, may_take_all=(0,))
        said = "The check points were drawn at random, also next to training points: scores at them are too high."
        return _checked(group == 1, settings, len(np.unique(pixels))), said
    held, blocks = hold_out(points, settings.check, patch_px=frame.block_px, seed=settings.seed)
    count = 0 if blocks is None else blocks.count
    is_check = _checked(held.role == CHECK, settings, count)
    assert blocks is not None
    return is_check, _describe(blocks, frame, len(np.unique(blocks.numbers[is_check])))


def _checked(is_check: NDArray[np.bool_], settings: SplitSettings, places: int) -> NDArray[np.bool_]:
    """Check that there are check points and training points.

    Raises:
        PointsError: There are none of one of them.
    """
    if is_check.any() and not is_check.all():
        return is_check
    raise PointsError(
        "the points lie in too few places to set some of them aside",
        where=settings.points,
        expected="points of a class in several places",
        got=f"{len(is_check)} points in {places or 1} place(s)",
        hint="Add points in other parts of the area.",
    )


def _describe(blocks: Blocks, frame: PointFrame, held: int) -> str:
    side = f"{blocks.block_px} px" if frame.pixel_m is None else f"{blocks.block_px * frame.pixel_m:,.4g} m"
    how = f"{held} of {blocks.count} blocks of {side} hold the check points."
    if blocks.block_px == frame.block_px:
        return f"{how} The blocks measure {frame.source}."
    how = f"{how} Blocks of {frame.source} would be too few."
    if blocks.are_independent:
        return how
    return (
        f"{how} Blocks this small are not independent: check points have training points as neighbours, and scores at them "
        "will be too high. Add points in other parts of the area."
    )


def _counts(points: Points, is_check: NDArray[np.bool_], legend: Legend) -> dict[str, tuple[int, int]]:
    training, check = (points.take(part).counts(len(legend)).tolist() for part in (~is_check, is_check))
    return dict(zip(legend.names, zip(training, check, strict=True), strict=True))


def _doubts(counts: dict[str, tuple[int, int]], table: PointTable, fault: NDArray[np.str_]) -> list[str]:
    found = []
    without = [name for name, (training, check) in counts.items() if training and not check]
    if without:
        found.append(
            f"No check point of {', '.join(without)}: all its points lie in one place. Their accuracy cannot be estimated; "
            "add points elsewhere."
        )
    few = [f"{name} {check}" for name, (_, check) in counts.items() if 0 < check < _FEW_BLOCKS]
    if few:
        found.append(f"Few check points: {', '.join(few)}. The accuracy of these classes will be uncertain.")
    if table.find("role") is not None:
        found.append("The column role of the file is replaced.")
    reasons, numbers = np.unique(fault[fault != ""], return_counts=True)
    if len(reasons):
        named = ", ".join(f"{number} {reason}" for reason, number in zip(reasons, numbers, strict=True))
        found.append(f"Rows in neither file: {named}.")
    return found
