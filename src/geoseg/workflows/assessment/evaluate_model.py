"""Score a model: predict one raster or those of a dataset, and compare them strip by strip."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import confusion_matrix
from geoseg.domain.legend import UNLABELLED, Legend, normalise_name
from geoseg.domain.mapping.prediction import Strip, WindowPlan, count_windows, predict_strips
from geoseg.domain.points import Points
from geoseg.domain.ports import Predictor, Progress
from geoseg.errors import LegendError, SettingsError
from geoseg.geodata.points.training_places import count_places, places_on
from geoseg.learning.model_file import Model
from geoseg.settings import EvaluateSettings
from geoseg.workflows.assessment.check_points import (
    PointScores,
    find_training_points,
    pixels,
    read_check_points,
    score_points,
)
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.inputs import Inputs, describe_all, find_inputs, open_rasters, validity_for
from geoseg.workflows.mapping.backends import build_default_predictor
from geoseg.workflows.mapping.predict import check_bands, plan_for, warn_of_resolution
from geoseg.workflows.model_at_stride import read_model_at_stride
from geoseg.workflows.value_check import check_values


@dataclass(frozen=True)
class ModelScores:
    """Result of a comparison of a model with masks or points.

    Attributes:
        legend: The legend of the model.
        matrices: Confusion matrix (C, C + 1) by image.
        points: Counts and matrices of the points; None after a comparison with masks.
        training_points: Number of training points on the images that were compared with masks.
    """

    legend: Legend
    matrices: Mapping[str, NDArray[np.int64]]
    points: PointScores | None
    training_points: int


def compare_model(settings: EvaluateSettings, progress: Progress) -> ModelScores:
    """Predict the rasters, and compare them with their masks or with points.

    Raises:
        SettingsError: Neither masks nor points are given.
        LegendError: The legends of the dataset and the model differ.
        RasterError: A raster cannot be read, lacks a band, or its values are on a scale other than in training.
        PointsError: The file has no usable point.
    """
    model = read_model_at_stride(settings.subject, settings.output_stride)
    legend = model.record.legend
    inputs = _inputs(settings)
    _check_legend(inputs.legend, legend, settings)
    for info in describe_all(inputs.images).values():
        check_bands(info, model.record, settings.subject)
        for note in info.notes:
            progress.say(note)
    places = model.record.training_places
    with ExitStack() as stack:
        validity = validity_for(settings, model.record)
        rasters = open_rasters(inputs.images, model.record.bands, stack, validity=validity)
        for source in rasters.sources.values():
            for warning in check_values(source, model.record, any_values=settings.any_values):
                progress.warn(warning)
        warn_of_resolution(next(iter(rasters.infos.values())), model.record, progress)
        predictor, plan = _predictor(settings, model)
        check = (
            read_check_points(settings, rasters.infos, legend, progress=progress) if settings.points else None
        )
        mapped = np.full(0 if check is None else len(check.points), UNLABELLED, np.uint8)
        matrices = {}
        progress.start("Evaluating", sum(count_windows(s, plan) for s in rasters.sources.values()))
        for name, source in rasters.sources.items():
            strips = stack.enter_context(closing(predict_strips(source, predictor, plan, progress=progress)))
            if check is not None:
                own = check.points.image == name
                mapped[own] = _classes_at(strips, check.points.take(own))
            else:
                mask = inputs.read_truth(name, legend, rasters.infos[name])
                matrices[name] = _against_mask(strips, mask, len(legend))
    if check is None:
        inputs.report_masks(progress)
        on_images = [places_on(places, info, name) for name, info in rasters.infos.items()] if places else []
        return ModelScores(legend, matrices, None, sum(map(count_places, on_images)))
    points = score_points(
        check,
        mapped,
        find_training_points(check, places, rasters.infos),
        classes=len(legend),
        allow_training=settings.allow_training_points,
    )
    return ModelScores(legend, points.matrices, points, 0)


def _inputs(settings: EvaluateSettings) -> Inputs:
    """Find the rasters to evaluate a model on."""
    if settings.data is None:
        raise SettingsError(
            "no raster or dataset to evaluate the model on",
            expected="a dataset folder with masks as DATA, or a raster as DATA and --points FILE",
        )
    if settings.truth is not None:
        raise SettingsError(
            "a mask is compared with a class map, not with a model",
            where="--truth",
            hint="Predict the raster and evaluate its map, or give a folder of images/ and masks/.",
        )
    if settings.points is None and (settings.data.is_file() or settings.stack):
        raise SettingsError("no reference data for the model", where=settings.data, expected="--points FILE")
    split = settings.split if settings.data.is_dir() else None
    needs_masks = settings.points is None
    return find_inputs(
        settings.data,
        split=split,
        legend=settings.legend,
        masks_needed=needs_masks,
        mask_values=settings.mask_values,
    )


def _check_legend(given: Legend | None, own: Legend, settings: EvaluateSettings) -> None:
    """Check that a dataset has the same classes as the model, in any order.

    Raises:
        LegendError: A class is missing in one of them.
    """
    if given is not None and set(map(normalise_name, given.names)) != set(map(normalise_name, own.names)):
        raise LegendError(
            "the dataset and the model have different legends",
            where=settings.data,
            expected=", ".join(own.names),
            got=", ".join(given.names),
        )


def _predictor(settings: EvaluateSettings, model: Model) -> tuple[Predictor, WindowPlan]:
    device = choose_device(settings.device)
    predictor = build_default_predictor(model, device, choose_precision(settings.precision, device))
    return predictor, plan_for(model.record, settings.window)


def _against_mask(strips: Iterable[Strip], mask: NDArray[np.uint8], classes: int) -> NDArray[np.int64]:
    total = np.zeros((classes, classes + 1), np.int64)
    for strip in strips:
        rows = slice(strip.window.row, strip.window.row + strip.window.height)
        total += confusion_matrix(mask[rows], strip.class_ids, classes)
    return total


def _classes_at(strips: Iterable[Strip], points: Points) -> NDArray[np.uint8]:
    """Return the mapped class at each point (P,); 255 for nodata."""
    mapped = np.full(len(points), UNLABELLED, np.uint8)
    rows, cols = pixels(points)
    for strip in strips:
        top = strip.window.row
        inside = (rows >= top) & (rows < top + strip.window.height)
        mapped[inside] = strip.class_ids[rows[inside] - top, cols[inside]]
    return mapped
