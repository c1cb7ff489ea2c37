"""Score a class map or a model against masks or points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
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
from geoseg.workflows.inputs import point_options, report_masks
from geoseg.workflows.library_faults import plain_faults

RASTER_SUFFIXES = {".tif", ".tiff", ".png", ".vrt", ".img"}


@dataclass(frozen=True)
class Evaluation:
    """Scores over everything compared, and of each image by name.

    Attributes:
        accuracy: The scores.
        legend: The classes.
        images: The scores of each image by name.
        points: What is known of the points, where the map was compared with points.
        notes: What must be known to judge the scores, one sentence each.
        warnings: What was warned of, one sentence each; the notes are among them.
    """

    accuracy: Accuracy
    legend: Legend
    images: dict[str, Accuracy]
    points: PointScores | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def statement(self) -> str | None:
        """What the scores are instead of an accuracy; None where they are one."""
        return None if self.points is None else self.points.statement

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
    """A map was scored at the points that its model learnt from; ``evaluation`` holds what came of it."""

    def __init__(self, evaluation: Evaluation, settings: EvaluateSettings) -> None:
        super().__init__(
            str(evaluation.statement),
            where=settings.points,
            expected="points that the model did not learn from",
            got=f"{evaluation.points.training:,} training points" if evaluation.points else None,
            hint="Score check points, or allow it (--allow-training-points).",
        )
        self.evaluation = evaluation


@plain_faults
def evaluate(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compare a class map with a mask or points, or a model with the masks or points of its rasters.

    One confusion matrix is summed over all images; truth 255 is not counted. A labelled pixel or point that
    the map does not cover counts as missed. Points that the model learnt from are left out; where no others remain, the
    scores are not an accuracy.

    Raises:
        SettingsError: It is not said what to compare with.
        RasterError: A map and its mask do not lie on the same grid.
        LegendError: The legend lacks a class, or there is none.
        PointsError: No point can be used.
        TrainingPointsError: The points are those that the model learnt from, and that is not allowed.
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
    # The error says what the first note would.
    unsaid = notes[:1] if is_refused else []
    for note in notes[len(unsaid) :]:
        progress.warn(note)
    scores = {image: accuracy(matrix) for image, matrix in compared.matrices.items()}
    total = accuracy(np.sum(matrices, axis=0))
    evaluation = Evaluation(
        total,
        compared.legend,
        scores,
        compared.points,
        (*compared.told, *notes),
        (*unsaid, *progress.warnings),
    )
    if settings.picture is not None:
        _draw(evaluation, settings)
    if is_refused:
        raise TrainingPointsError(evaluation, settings)
    return evaluation


def _draw(evaluation: Evaluation, settings: EvaluateSettings) -> None:
    # matplotlib is loaded only when a picture is asked for.
    from geoseg.pictures.matrix import confusion_figure
    from geoseg.workflows.figure_files import write_picture

    assert settings.picture is not None
    title = ": ".join(filter(None, (settings.subject.name, evaluation.statement)))
    figure = confusion_figure(evaluation.accuracy.confusion, evaluation.legend, title=title)
    write_picture(figure, settings.picture, overwrite=settings.overwrite)


@dataclass(frozen=True)
class _Compared:
    """What a comparison gave: confusion matrices by image, and what must be known of them; ``told`` is said already."""

    legend: Legend
    matrices: Mapping[str, NDArray[np.int64]]
    points: PointScores | None = None
    notes: tuple[str, ...] = ()
    told: tuple[str, ...] = ()


def _of_model(settings: EvaluateSettings, progress: Progress) -> _Compared:
    # torch is loaded only when a model is scored.
    from geoseg.workflows.assessment.evaluate_model import compare_model

    scores = compare_model(settings, progress)
    return _Compared(scores.legend, scores.matrices, scores.points, _learnt_here(scores.learnt_from))


def _of_map(settings: EvaluateSettings, progress: Progress) -> _Compared:
    if settings.truth is not None and settings.points is not None:
        raise SettingsError(
            "a map is compared with a mask or with points, not with both",
            expected="--truth MASK or --points FILE",
            hint="Evaluate it twice.",
        )
    given = read_legend(settings.legend) if settings.legend else None
    class_ids, info, own = read_class_map(settings.subject)
    legend = own or given
    if legend is None:
        raise LegendError(
            "this map names no classes", where=settings.subject, hint="Name a legend with --legend."
        )
    if own is None:
        class_ids = read_mask(settings.subject, legend)
    if settings.truth is not None:
        return _map_with_mask(settings, class_ids, info, legend=legend, progress=progress)
    if settings.points is not None:
        return _map_with_points(settings, class_ids, info, legend=legend, progress=progress)
    raise SettingsError("there is nothing to compare the map with", expected="--truth MASK or --points FILE")


def _map_with_mask(
    settings: EvaluateSettings,
    class_ids: NDArray[np.uint8],
    info: RasterInfo,
    *,
    legend: Legend,
    progress: Progress,
) -> _Compared:
    assert settings.truth is not None
    codes = read_legend(settings.legend) if settings.legend else legend_beside(settings.truth)
    masks = MaskReader(legend, codes=codes, values=settings.mask_values)
    truth = masks.read(settings.truth, info)
    report_masks([masks], progress)
    _, places = read_origin(settings.subject)
    matrix = confusion_matrix(truth, class_ids, len(legend))
    notes = _learnt_here(count_places(places) if places else 0)
    told = (*masks.described(), *masks.warnings)
    return _Compared(legend, {settings.subject.stem: matrix}, None, notes, told)


def _map_with_points(
    settings: EvaluateSettings,
    class_ids: NDArray[np.uint8],
    info: RasterInfo,
    *,
    legend: Legend,
    progress: Progress,
) -> _Compared:
    # Where the user names a legend, it is that of the points: the map's own names stay.
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
    return _Compared(legend, {settings.subject.stem: of_map}, points)


def _learnt_here(places: int) -> tuple[str, ...]:
    """Return the note that a map was scored where its model learnt."""
    if not places:
        return ()
    return (
        f"The model learnt from {places:,} points within these masks, so the scores are not those of new places.",
    )


def _image_names(settings: EvaluateSettings, info: RasterInfo) -> list[str]:
    """Return the names that points may know a map by.

    Points name the raster that they were drawn on, not its map. Where the map has a CRS their places
    say which of them lie on it; else all must be of one raster.
    """
    assert settings.points is not None
    named = set(read_point_table(settings.points, point_options(settings)).texts("image").tolist()) - {""}
    own = settings.subject.stem
    if own in named or (info.crs is None and len(named) != 1):
        return [own]
    return sorted(named) or [own]
