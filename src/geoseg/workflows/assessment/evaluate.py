"""Score a class map or a model against masks or points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geoseg.domain.accuracy import Accuracy, accuracy, accuracy_record, confusion_matrix
from geoseg.domain.legend import Legend, ids_by_name
from geoseg.domain.ports import Progress, PythonWarnings, WarningRecorder
from geoseg.errors import LegendError, PointsError, SettingsError
from geoseg.geodata.datasets.folders import legend_beside
from geoseg.geodata.datasets.legend_files import read_legend
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.class_maps import read_class_map, read_origin
from geoseg.geodata.outputs.file_kinds import PICTURE
from geoseg.geodata.points.dropped_points import check_dropped
from geoseg.geodata.points.point_tables import read_point_table
from geoseg.geodata.points.training_places import count_places
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import MaskReader, read_mask
from geoseg.settings import EvaluateSettings
from geoseg.workflows.assessment.check_points import (
    PointScores,
    find_training_points,
    pixels,
    read_check_points,
    score_points,
)
from geoseg.workflows.assessment.score_tables import score_frame, score_html, score_text
from geoseg.workflows.inputs import point_options, report_masks
from geoseg.workflows.library_errors import translate_library_errors

RASTER_SUFFIXES = {".tif", ".tiff", ".png", ".vrt", ".img"}


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Scores in total and per image; it prints as a table, also in notebooks.

    Attributes:
        accuracy: The scores over all images.
        legend: The classes.
        images: The scores of each image by name.
        points: Counts and matrices of the points; None after a comparison with masks.
        notes: Remarks that qualify the scores, one sentence each.
        warnings: All warnings, one sentence each, including the notes.
    """

    accuracy: Accuracy
    legend: Legend
    images: dict[str, Accuracy]
    points: PointScores | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def statement(self) -> str | None:
        """Reason that the scores are not an accuracy; None if they are one."""
        return None if self.points is None else self.points.statement

    @property
    def miou(self) -> float:
        """Mean IoU over the classes present in the reference, 0..1."""
        return self.accuracy.miou

    @property
    def overall_accuracy(self) -> float:
        """Share of the reference that is mapped right, 0..1."""
        return self.accuracy.overall_accuracy

    @property
    def confusion(self) -> NDArray[np.int64]:
        """Confusion matrix (C, C + 1), reference in rows; the last column counts what is not mapped."""
        return self.accuracy.confusion

    def to_frame(self) -> pd.DataFrame:
        """Return the scores by class: iou, f1, precision, recall (0..1), pixels or points of the reference, unmapped."""
        return score_frame(self.accuracy, self.legend, self._unit)

    def __str__(self) -> str:
        table = score_text(self.accuracy, self.legend, self._unit)
        return f"{self.statement}\n{table}" if self.statement else table

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """Return what notebooks show."""
        statement = f"<p>{self.statement}</p>" if self.statement else ""
        return statement + score_html(self.accuracy, self.legend, self._unit)

    @property
    def _unit(self) -> str:
        return "pixels" if self.points is None else "points"

    def to_record(self) -> dict[str, Any]:
        """Return the scores as JSON values, with those of each image under ``images``."""
        names = self.legend.names
        return {
            **accuracy_record(self.accuracy, names),
            "images": {image: accuracy_record(scores, names) for image, scores in self.images.items()},
            "is_accuracy": self.statement is None,
            "statement": self.statement,
            "points": None if self.points is None else self.points.to_record(),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }


class TrainingPointsError(PointsError):
    """A map was scored at the training points of its model; ``evaluation`` holds the scores."""

    def __init__(self, evaluation: Evaluation, settings: EvaluateSettings) -> None:
        super().__init__(
            str(evaluation.statement),
            where=settings.points,
            expected="points that were not used for training",
            got=f"{evaluation.points.training:,} training points" if evaluation.points else None,
            hint="Use check points, or allow training points with --allow-training-points.",
        )
        self.evaluation = evaluation


@translate_library_errors
def evaluate(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compare a class map with a mask or points, or a model with the masks or points of its rasters.

    Sum one confusion matrix over all images. Ignore mask value 255. A labelled pixel or point that the map does not
    cover counts as an error. Exclude training points; if no others remain, the scores are not an accuracy.

    Raises:
        SettingsError: Neither a mask nor points are given.
        RasterError: A map and its mask lie on different grids.
        LegendError: The legend lacks a class, or no legend is found.
        PointsError: The file has no usable point.
        TrainingPointsError: All usable points are training points, and these are not allowed.
    """
    progress = WarningRecorder(progress or PythonWarnings())
    if settings.picture is not None:
        check_apart([settings.picture], [settings.subject, settings.data, settings.truth, settings.points])
        check_output(settings.picture, PICTURE, overwrite=settings.overwrite)
    if settings.dropped is not None:
        check_dropped(settings.dropped, settings.points, overwrite=settings.overwrite)
    is_map = settings.subject.suffix.lower() in RASTER_SUFFIXES
    compared = (_of_map if is_map else _of_model)(settings, progress)
    matrices = list(compared.matrices.values())
    notes = list(compared.notes)
    if compared.points is not None:
        matrices.append(compared.points.outside)
        notes += compared.points.notes
    is_refused = (
        compared.points is not None and compared.points.has_training and not settings.allow_training_points
    )
    # The error message repeats the first note.
    in_error = notes[:1] if is_refused else []
    for note in notes[len(in_error) :]:
        progress.warn(note)
    scores = {image: accuracy(matrix) for image, matrix in compared.matrices.items()}
    total = accuracy(np.sum(matrices, axis=0))
    evaluation = Evaluation(
        total,
        compared.legend,
        scores,
        compared.points,
        (*compared.reported, *notes),
        (*in_error, *progress.warnings),
    )
    if settings.picture is not None:
        _draw(evaluation, settings)
    if is_refused:
        raise TrainingPointsError(evaluation, settings)
    return evaluation


def _draw(evaluation: Evaluation, settings: EvaluateSettings) -> None:
    # Import matplotlib only when a picture is requested.
    from geoseg.pictures.matrix import confusion_figure
    from geoseg.workflows.figure_files import write_picture

    assert settings.picture is not None
    title = ": ".join(filter(None, (settings.subject.name, evaluation.statement)))
    figure = confusion_figure(evaluation.accuracy.confusion, evaluation.legend, title=title)
    write_picture(figure, settings.picture, overwrite=settings.overwrite)


@dataclass(frozen=True)
class _Comparison:
    """Confusion matrices by image, with notes on them; notes in ``reported`` have been shown already."""

    legend: Legend
    matrices: Mapping[str, NDArray[np.int64]]
    points: PointScores | None = None
    notes: tuple[str, ...] = ()
    reported: tuple[str, ...] = ()


def _of_model(settings: EvaluateSettings, progress: Progress) -> _Comparison:
    # Import torch only to score a model.
    from geoseg.workflows.assessment.evaluate_model import compare_model

    scores = compare_model(settings, progress)
    return _Comparison(
        scores.legend, scores.matrices, scores.points, _training_area_note(scores.training_points)
    )


def _of_map(settings: EvaluateSettings, progress: Progress) -> _Comparison:
    if settings.truth is not None and settings.points is not None:
        raise SettingsError(
            "a map cannot be compared with a mask and points in one run",
            expected="--truth MASK or --points FILE",
            hint="Run evaluate twice.",
        )
    given = read_legend(settings.legend) if settings.legend else None
    class_ids, info, own = read_class_map(settings.subject)
    legend = own or given
    if legend is None:
        raise LegendError(
            "this map has no class names", where=settings.subject, hint="Give a legend with --legend."
        )
    if own is None:
        class_ids = read_mask(settings.subject, legend)
    if settings.truth is not None:
        return _map_with_mask(settings, class_ids, info, legend=legend, progress=progress)
    if settings.points is not None:
        return _map_with_points(settings, class_ids, info, legend=legend, progress=progress)
    raise SettingsError("no reference data for the map", expected="--truth MASK or --points FILE")


def _map_with_mask(
    settings: EvaluateSettings,
    class_ids: NDArray[np.uint8],
    info: RasterInfo,
    *,
    legend: Legend,
    progress: Progress,
) -> _Comparison:
    assert settings.truth is not None
    codes = read_legend(settings.legend) if settings.legend else legend_beside(settings.truth)
    masks = MaskReader(legend, codes=codes, values=settings.mask_values)
    truth = masks.read(settings.truth, info)
    report_masks([masks], progress)
    _, places = read_origin(settings.subject)
    matrix = confusion_matrix(truth, class_ids, len(legend))
    notes = _training_area_note(count_places(places) if places else 0)
    reported = (*masks.describe_values(), *masks.warnings)
    return _Comparison(legend, {settings.subject.stem: matrix}, None, notes, reported)


def _map_with_points(
    settings: EvaluateSettings,
    class_ids: NDArray[np.uint8],
    info: RasterInfo,
    *,
    legend: Legend,
    progress: Progress,
) -> _Comparison:
    # A legend from the user applies to the points; the map keeps its own class names.
    codes = read_legend(settings.legend) if settings.legend else legend
    rasters = dict.fromkeys(_image_names(settings, info), info)
    check = read_check_points(settings, rasters, codes, progress=progress)
    if codes is not legend:
        check = check.with_ids(ids_by_name(codes, legend, settings.legend))
    _, places = read_origin(settings.subject)
    points = score_points(
        check,
        class_ids[pixels(check.points)],
        find_training_points(check, places, rasters),
        classes=len(legend),
        allow_training=settings.allow_training_points,
    )
    of_map = np.sum(list(points.matrices.values()), axis=0)
    return _Comparison(legend, {settings.subject.stem: of_map}, points)


def _training_area_note(places: int) -> tuple[str, ...]:
    """Return a note if the scored area contains training points of the model."""
    if not places:
        return ()
    return (
        f"The area of these masks contains {places:,} training points, so the scores are not those of new places.",
    )


def _image_names(settings: EvaluateSettings, info: RasterInfo) -> list[str]:
    """Return the image names in the points that may refer to a map.

    Points name the raster that they were drawn on, not its map. If the map has a CRS, the coordinates decide which
    points lie on it. Otherwise all points must name one raster.
    """
    assert settings.points is not None
    named = set(read_point_table(settings.points, point_options(settings)).texts("image").tolist()) - {""}
    own = settings.subject.stem
    if own in named or (info.crs is None and len(named) != 1):
        return [own]
    return sorted(named) or [own]
