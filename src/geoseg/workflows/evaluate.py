"""Score a class map or a model against masks or points."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import Accuracy, accuracy, accuracy_record, confusion_matrix
from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress, Silence
from geoseg.domain.prediction import Strip, WindowPlan, count_windows, predict_strips
from geoseg.errors import LegendError, PointsError, SettingsError
from geoseg.geodata.class_maps import read_class_map
from geoseg.geodata.grids import RasterInfo
from geoseg.geodata.legend_files import read_legend
from geoseg.geodata.masks import read_mask
from geoseg.geodata.outputs import check_output
from geoseg.geodata.point_tables import read_point_table
from geoseg.learning.devices import choose_device, choose_precision
from geoseg.learning.inference import TorchPredictor
from geoseg.learning.model_file import Model, read_model
from geoseg.pictures.matrix import confusion_figure
from geoseg.settings import EvaluateSettings
from geoseg.workflows.inputs import (
    Inputs,
    Rasters,
    describe_all,
    find_inputs,
    open_rasters,
    read_usable_points,
)
from geoseg.workflows.pictures import write_picture
from geoseg.workflows.predict import check_bands, plan_for, warn_of_resolution

RASTER_SUFFIXES = {".tif", ".tiff", ".png", ".vrt", ".img"}


@dataclass(frozen=True)
class Evaluation:
    """Scores over everything compared, and of each image by name."""

    accuracy: Accuracy
    legend: Legend
    images: dict[str, Accuracy]

    def to_record(self) -> dict[str, Any]:
        """Return the scores as JSON values, with those of each image under ``images``."""
        names = self.legend.names
        return {
            **accuracy_record(self.accuracy, names),
            "images": {image: accuracy_record(scores, names) for image, scores in self.images.items()},
        }


def evaluate(settings: EvaluateSettings, progress: Progress | None = None) -> Evaluation:
    """Compare a class map with a mask or points, or a model with the masks or points of its rasters.

    One confusion matrix is summed over all images; truth 255 is not counted, a labelled pixel that
    the map leaves empty counts as missed.

    Raises:
        SettingsError: It is not said what to compare with.
        RasterError: A map and its mask do not lie on the same grid.
        LegendError: The legend lacks a class, or there is none.
        PointsError: No point can be used.
    """
    progress = progress or Silence()
    if settings.picture is not None:
        check_output(settings.picture, overwrite=settings.overwrite)
    is_map = settings.subject.suffix.lower() in RASTER_SUFFIXES
    legend, matrices = (_of_map if is_map else _of_model)(settings, progress)
    scores = {image: accuracy(matrix) for image, matrix in matrices.items()}
    total = accuracy(np.sum(list(matrices.values()), axis=0))
    if settings.picture is not None:
        write_picture(
            confusion_figure(total.confusion, legend, title=settings.subject.name),
            settings.picture,
            overwrite=settings.overwrite,
        )
    return Evaluation(total, legend, scores)


_Matrices = tuple[Legend, dict[str, NDArray[np.int64]]]


def _of_map(settings: EvaluateSettings, progress: Progress) -> _Matrices:
    class_ids, info, own = read_class_map(settings.subject)
    legend = read_legend(settings.legend) if settings.legend else own
    if legend is None:
        raise LegendError(
            "this map names no classes", where=settings.subject, hint="Name a legend with --legend."
        )
    if settings.truth is not None:
        truth = read_mask(settings.truth, legend, info)
    elif settings.points is not None:
        truth = _truth_at_points(settings, info, legend, progress=progress)
    else:
        raise SettingsError(
            "there is nothing to compare the map with", expected="--truth MASK or --points FILE"
        )
    return legend, {settings.subject.stem: confusion_matrix(truth, class_ids, len(legend))}


def _truth_at_points(
    settings: EvaluateSettings, info: RasterInfo, legend: Legend, *, progress: Progress
) -> NDArray[np.uint8]:
    """Return class ids (H, W) at the points, 255 elsewhere."""
    with ExitStack() as stack:
        rasters = open_rasters(dict.fromkeys(_image_names(settings, info), info.path), (1,), stack)
        points = _points(settings, rasters, legend, progress=progress)
    truth = np.full((info.height, info.width), UNLABELLED, np.uint8)
    rows, cols = _pixels(points)
    truth[rows, cols] = points.class_id
    return truth


def _image_names(settings: EvaluateSettings, info: RasterInfo) -> list[str]:
    """Return the names that points may know a map by.

    Points name the raster that they were drawn on, not its map. Where the map has a CRS their places
    say which of them lie on it; else all must be of one raster.
    """
    assert settings.points is not None
    named = set(read_point_table(settings.points).texts("image").tolist()) - {""}
    own = settings.subject.stem
    if own in named or (info.crs is None and len(named) != 1):
        return [own]
    return sorted(named) or [own]


def _of_model(settings: EvaluateSettings, progress: Progress) -> _Matrices:
    model = read_model(settings.subject, settings.output_stride)
    legend = model.record.legend
    inputs = _inputs(settings)
    check_legend(inputs.legend, legend, settings)
    for info in describe_all(inputs.images).values():
        check_bands(info, model.record, settings.subject)
    with ExitStack() as stack:
        rasters = open_rasters(inputs.images, model.record.bands, stack)
        warn_of_resolution(next(iter(rasters.infos.values())), model.record, progress)
        predictor, plan = _predictor(settings, model)
        points = _points(settings, rasters, legend, progress=progress) if settings.points else None
        matrices = {}
        progress.start("Evaluating", sum(count_windows(s, plan) for s in rasters.sources.values()))
        for name, source in rasters.sources.items():
            strips = stack.enter_context(closing(predict_strips(source, predictor, plan, progress=progress)))
            if points is not None:
                matrices[name] = _against_points(strips, points.on_image(name), len(legend))
            else:
                mask = inputs.read_truth(name, legend, rasters.infos[name])
                matrices[name] = _against_mask(strips, mask, len(legend))
    return legend, matrices


def _inputs(settings: EvaluateSettings) -> Inputs:
    """Find what a model is evaluated on."""
    if settings.data is None:
        raise SettingsError("there is nothing to evaluate the model on", expected="evaluate MODEL DATA")
    if settings.truth is not None:
        raise SettingsError(
            "a mask is compared with a class map, not with a model",
            where="--truth",
            hint="Predict the raster and evaluate its map, or give a folder of images/ and masks/.",
        )
    if settings.points is None and settings.data.is_file():
        raise SettingsError(
            "there is nothing to compare the model's map with", where=settings.data, expected="--points FILE"
        )
    split = settings.split if settings.data.is_dir() else None
    needs_masks = settings.points is None
    return find_inputs(settings.data, split=split, legend=settings.legend, masks_needed=needs_masks)


def check_legend(given: Legend | None, own: Legend, settings: EvaluateSettings) -> None:
    """Make sure that a dataset's classes are the model's.

    Raises:
        LegendError: Names or their order differ.
    """
    if given is not None and given.names != own.names:
        raise LegendError(
            "the dataset's legend is not the model's",
            where=settings.data,
            expected=", ".join(own.names),
            got=", ".join(given.names),
        )


def _predictor(settings: EvaluateSettings, model: Model) -> tuple[TorchPredictor, WindowPlan]:
    device = choose_device(settings.device)
    predictor = TorchPredictor(model, device, choose_precision(settings.precision, device))
    return predictor, plan_for(model.record, settings.window)


def _against_mask(strips: Iterable[Strip], mask: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    total = np.zeros((classes, classes + 1), np.int64)
    for strip in strips:
        rows = slice(strip.window.row, strip.window.row + strip.window.height)
        total += confusion_matrix(mask[rows], strip.class_ids, classes)
    return total


def _against_points(strips: Iterable[Strip], points: Points, classes: int) -> NDArray[np.int64]:
    total = np.zeros((classes, classes + 1), np.int64)
    rows, cols = _pixels(points)
    for strip in strips:
        top = strip.window.row
        inside = (rows >= top) & (rows < top + strip.window.height)
        mapped = strip.class_ids[rows[inside] - top, cols[inside]]
        total += confusion_matrix(points.class_id[inside], mapped, classes)
    return total


def _points(settings: EvaluateSettings, rasters: Rasters, legend: Legend, *, progress: Progress) -> Points:
    assert settings.points is not None
    points, _ = read_usable_points(
        settings.points,
        rasters,
        legend=legend,
        class_column=settings.class_column,
        progress=progress,
    )
    chosen = points if settings.role == "all" else points.with_role(settings.role)
    if not len(chosen):
        raise PointsError(f"no point has the role {settings.role!r}", where=settings.points)
    return chosen


def _pixels(points: Points) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return row and column of the pixel that each point lies in."""
    rows = np.floor(points.row + 0.5).astype(np.intp)
    return rows, np.floor(points.col + 0.5).astype(np.intp)
