"""The points that a map or a model is compared with: read, compared with the map, and told from training points."""

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
    """The points to compare with.

    Attributes:
        points: Those on the rasters.
        outside: Those that belong to the rasters and lie outside them.
        step: What their coordinates are multiples of, in metres.
        misplaced: Where those outside and the rasters lie; empty where few are outside.
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
    """Points compared with a map.

    Attributes:
        matrices: Confusion matrix (C, C + 1) by image; the last column counts points that the map does not cover.
        outside: Confusion matrix of the points outside every image.
        training: How many points are training points.
        has_training: Whether these are scored.
        on_nodata: How many scored points lie where the map is nodata.
        misplaced: Where the points outside and the rasters lie; empty where few are outside.
    """

    matrices: Mapping[str, NDArray[np.int64]]
    outside: NDArray[np.int64]
    training: int
    has_training: bool
    on_nodata: int
    misplaced: str = ""

    @property
    def scored(self) -> int:
        """How many points are scored."""
        return int(sum(matrix.sum() for matrix in self.matrices.values()) + self.outside.sum())

    @property
    def statement(self) -> str | None:
        """What the scores are instead of an accuracy; None where they are one."""
        return NOT_AN_ACCURACY if self.has_training else None

    @property
    def notes(self) -> list[str]:
        """What must be known about the points, one sentence each."""
        notes = []
        if self.has_training:
            of = f"{self.training:,} of the {self.scored:,} points"
            notes.append(f"{NOT_AN_ACCURACY} ({of} are points that the model learnt from).")
        elif self.training:
            notes.append(
                f"{self.training:,} of the points are training points and are left out; the other {self.scored:,} are scored."
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
    """Read the points to compare with, those of the role that counts.

    Points on nodata stay: what the map does not cover counts as an error.

    Raises:
        PointsError: The file cannot be read, or none of its points can be used.
        LegendError: The points have a class that the legend lacks.
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
    """Compare points with the classes that the map has at them (P,), 255 where it has none.

    Training points are left out if covered points remain without them, unless they are allowed.
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
    """Return for each point (P,) whether the model learnt from it; False where that is not known."""
    if places is None:
        return np.zeros(len(check.points), np.bool_)
    return is_training_point(check.points, places, rasters, rounding_m=check.step)


def pixels(points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the pixel that each point lies in."""
    rows = np.floor(points.row + 0.5).astype(np.intp)
    return rows, np.floor(points.col + 0.5).astype(np.intp)


@dataclass(frozen=True)
class _Everywhere:
    """A raster that is valid everywhere; a PixelSource."""

    height: int
    width: int

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        shape = (window.height, window.width)
        return np.zeros((1, *shape), np.float32), np.ones(shape, np.bool_)
