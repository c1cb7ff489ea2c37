"""Read check points, compare them with a map, and separate them from training points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import confusion_matrix
from geoseg.domain.class_names import few_points
from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress
from geoseg.domain.training_places import TrainingPlaces
from geoseg.domain.windows import Window
from geoseg.errors import PointsError
from geoseg.geodata.points.audit import audit_points
from geoseg.geodata.points.dropped_points import describe_dropped, write_dropped
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.points.point_places import OUTSIDE
from geoseg.geodata.points.training_places import is_training_point
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.settings import EvaluateSettings
from geoseg.workflows.inputs import point_options

NOT_AN_ACCURACY = "training points: not an accuracy"


@dataclass(frozen=True)
class CheckPoints:
    """Points to compare a map with.

    Attributes:
        points: Points on the rasters.
        outside: Points that belong to the rasters but lie outside them.
        step: Rounding step of the coordinates, in metres.
        misplaced: Message with the extents of the outside points and the rasters; empty if few points are outside.
    """

    points: Points
    outside: Points
    step: float
    misplaced: str = ""

    def with_ids(self, table: NDArray[np.uint8]) -> CheckPoints:
        """Return the same points with the class ids of another legend."""
        points, outside = (replace(p, class_id=table[p.class_id]) for p in (self.points, self.outside))
        return replace(self, points=points, outside=outside)


@dataclass(frozen=True)
class PointScores:
    """Result of a comparison of points with a map.

    Attributes:
        matrices: Confusion matrix (C, C + 1) by image; the last column counts points that the map does not cover.
        outside: Confusion matrix of the points outside every image.
        training: Number of training points among the points.
        has_training: Whether training points are scored.
        on_nodata: Number of scored points on nodata of the map.
        misplaced: Message with the extents of the outside points and the rasters; empty if few points are outside.
    """

    matrices: Mapping[str, NDArray[np.int64]]
    outside: NDArray[np.int64]
    training: int
    has_training: bool
    on_nodata: int
    misplaced: str = ""

    @property
    def scored(self) -> int:
        """Number of scored points."""
        return int(sum(matrix.sum() for matrix in self.matrices.values()) + self.outside.sum())

    @property
    def statement(self) -> str | None:
        """Reason that the scores are not an accuracy; None if they are one."""
        return NOT_AN_ACCURACY if self.has_training else None

    @property
    def notes(self) -> list[str]:
        """Remarks on the points, one sentence each."""
        notes = []
        if self.has_training:
            of = f"{self.training:,} of the {self.scored:,} points"
            notes.append(f"{NOT_AN_ACCURACY} ({of} were used to train the model).")
        elif self.training:
            notes.append(
                f"{self.training:,} of the points are training points and are excluded; the other {self.scored:,} are scored."
            )
        if uncovered := self.on_nodata + int(self.outside.sum()):
            notes.append(
                f"{uncovered:,} of {self.scored:,} points are not covered by the map and count as errors "
                f"({self.on_nodata:,} on its nodata, {int(self.outside.sum()):,} outside it)."
                + (f" Outside, {self.misplaced[0].lower()}{self.misplaced[1:]}" if self.misplaced else "")
            )
        return notes

    def to_record(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        return {
            "scored": self.scored,
            "training": self.training,
            "training_scored": self.training if self.has_training else 0,
            "on_nodata": self.on_nodata,
            "outside": int(self.outside.sum()),
        }


def read_check_points(
    settings: EvaluateSettings, rasters: Mapping[str, RasterInfo], legend: Legend, *, progress: Progress
) -> CheckPoints:
    """Read the points with the requested role.

    Keep points on nodata: a point that the map does not cover counts as an error.

    Raises:
        PointsError: The file cannot be read, or it has no usable point.
        LegendError: A point has a class that the legend lacks.
    """
    assert settings.points is not None
    file = read_points(settings.points, rasters, legend=legend, options=point_options(settings))
    everywhere = {name: _Everywhere(info.height, info.width) for name, info in rasters.items()}
    reason = audit_points(file.points, everywhere)
    kept = reason == ""
    points = file.points.take(kept)
    unusable = file.dropped.joined(file.rows[~kept].assign(reason=reason[~kept]))
    if settings.dropped is not None:
        write_dropped(settings.dropped, unusable, overwrite=settings.overwrite)
    found = np.isin(file.outside.image, ["", *np.unique(points.image)])
    outside = file.outside.take(found)
    for note in file.notes:
        progress.say(note)
    for warning in file.warnings:
        progress.warn(warning)
    dropped = {text: n for text, n in unusable.counts().items() if text not in OUTSIDE}
    if elsewhere := int((~found).sum()):
        dropped["on other images"] = elsewhere
    if dropped:
        total = len(points) + len(outside) + sum(dropped.values())
        progress.warn(describe_dropped(dropped, total))
    if file.misplaced and not len(outside):
        progress.warn(file.misplaced)
    for warning in few_points(file.counts, legend.names):
        progress.warn(f"{settings.points.name}: {warning}")
    if settings.role != "all":
        points, outside = points.with_role(settings.role), outside.with_role(settings.role)
    if not len(points):
        raise PointsError(f"no point has the role {settings.role!r}", where=settings.points)
    return CheckPoints(points, outside, file.step, file.misplaced if len(outside) else "")


def score_points(
    check: CheckPoints,
    mapped: NDArray[np.uint8],
    is_training: NDArray[np.bool_],
    *,
    classes: int,
    allow_training: bool,
) -> PointScores:
    """Compare points with the mapped classes at the points (P,); 255 means nodata.

    Exclude training points unless they are allowed. If no other covered point remains, keep them.
    """
    points = check.points
    has_others = bool((~is_training & (mapped != UNLABELLED)).any())
    keeps_all = allow_training or not has_others
    kept = np.full(len(points), True) if keeps_all else ~is_training
    matrices = {}
    for image in np.unique(points.image).tolist():
        own = kept & (points.image == image)
        matrices[image] = confusion_matrix(points.class_id[own], mapped[own], classes)
    nowhere = np.full(len(check.outside), UNLABELLED, np.uint8)
    return PointScores(
        matrices,
        confusion_matrix(check.outside.class_id, nowhere, classes),
        int(is_training.sum()),
        has_training=keeps_all and bool(is_training.any()),
        on_nodata=int((kept & (mapped == UNLABELLED)).sum()),
        misplaced=check.misplaced,
    )


def find_training_points(
    check: CheckPoints, places: TrainingPlaces | None, rasters: Mapping[str, RasterInfo]
) -> NDArray[np.bool_]:
    """Return for each point (P,) whether it is a training point of the model; False if unknown."""
    if places is None:
        return np.zeros(len(check.points), np.bool_)
    return is_training_point(check.points, places, rasters, rounding_m=check.step)


def pixels(points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the row and column of the pixel under each point."""
    rows = np.floor(points.row + 0.5).astype(np.intp)
    return rows, np.floor(points.col + 0.5).astype(np.intp)


@dataclass(frozen=True)
class _Everywhere:
    """A PixelSource without nodata."""

    height: int
    width: int

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        shape = (window.height, window.width)
        return np.zeros((1, *shape), np.float32), np.ones(shape, np.bool_)
