"""Score a model: predict the rasters of a dataset, or one raster, and compare strip by strip."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack, closing

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import confusion_matrix
from geoseg.domain.legend import Legend, comparable
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress
from geoseg.domain.prediction import Strip, WindowPlan, count_windows, predict_strips
from geoseg.errors import LegendError, SettingsError
from geoseg.learning.devices import choose_device, choose_precision
from geoseg.learning.inference import TorchPredictor
from geoseg.learning.model_file import Model, read_model
from geoseg.settings import EvaluateSettings
from geoseg.workflows.check_points import pixels, read_check_points
from geoseg.workflows.inputs import Inputs, describe_all, find_inputs, open_rasters
from geoseg.workflows.predict import check_bands, plan_for, warn_of_resolution


def compare_model(
    settings: EvaluateSettings, progress: Progress
) -> tuple[Legend, dict[str, NDArray[np.int64]]]:
    """Return the model's legend, and a confusion matrix (C, C + 1) for each image by name.

    Raises:
        SettingsError: It is not said what to compare with.
        LegendError: The dataset's legend is not the model's.
        RasterError: A raster cannot be read, or lacks a band.
        PointsError: No point can be used.
    """
    model = read_model(settings.subject, settings.output_stride)
    legend = model.record.legend
    inputs = _inputs(settings)
    _check_legend(inputs.legend, legend, settings)
    for info in describe_all(inputs.images).values():
        check_bands(info, model.record, settings.subject)
    with ExitStack() as stack:
        rasters = open_rasters(inputs.images, model.record.bands, stack)
        warn_of_resolution(next(iter(rasters.infos.values())), model.record, progress)
        predictor, plan = _predictor(settings, model)
        points = read_check_points(settings, rasters, legend, progress=progress) if settings.points else None
        matrices = {}
        progress.start("Evaluating", sum(count_windows(s, plan) for s in rasters.sources.values()))
        for name, source in rasters.sources.items():
            strips = stack.enter_context(closing(predict_strips(source, predictor, plan, progress=progress)))
            if points is not None:
                matrices[name] = _against_points(strips, points.on_image(name), len(legend))
            else:
                mask = inputs.read_truth(name, legend, rasters.infos[name])
                matrices[name] = _against_mask(strips, mask, len(legend))
    inputs.tell_of_masks(progress)
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
    return find_inputs(
        settings.data,
        split=split,
        legend=settings.legend,
        masks_needed=needs_masks,
        mask_values=settings.mask_values,
    )


def _check_legend(given: Legend | None, own: Legend, settings: EvaluateSettings) -> None:
    """Make sure that a dataset has the classes of the model, in any order.

    Raises:
        LegendError: One has a class that the other lacks.
    """
    if given is not None and set(map(comparable, given.names)) != set(map(comparable, own.names)):
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
    rows, cols = pixels(points)
    for strip in strips:
        top = strip.window.row
        inside = (rows >= top) & (rows < top + strip.window.height)
        mapped = strip.class_ids[rows[inside] - top, cols[inside]]
        total += confusion_matrix(points.class_id[inside], mapped, classes)
    return total
