"""Predict class maps of rasters."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.ports import Predictor, Progress, Silence
from geoseg.domain.prediction import WindowPlan, count_windows, plan_windows, predict_strips
from geoseg.errors import OutputError, RasterError
from geoseg.geodata.areas import read_area
from geoseg.geodata.class_maps import ClassMapWriter, ConfidenceWriter, class_map_writer, confidence_writer
from geoseg.geodata.grids import RasterInfo
from geoseg.geodata.outputs import check_output
from geoseg.geodata.rasters import describe_raster, open_raster
from geoseg.learning.devices import choose_device, choose_precision
from geoseg.learning.inference import TorchPredictor
from geoseg.learning.model_file import ModelRecord, read_model
from geoseg.settings import PredictSettings

RESOLUTION_TOLERANCE = 2.0


@dataclass(frozen=True)
class Prediction:
    """One raster's results: the files written, and the pixels of each class by id (255: nodata)."""

    raster: Path
    class_map: Path
    confidence: Path | None
    pixels: dict[int, int]


def predict(settings: PredictSettings, progress: Progress | None = None) -> list[Prediction]:
    """Predict the class map of one raster or several and write each as a cloud-optimised GeoTIFF.

    All inputs and outputs are checked before the first raster is predicted. Without ``overwrite``,
    several rasters go on where an earlier call stopped only by naming those that are missing.

    Raises:
        ModelFileError: The model file cannot be used.
        RasterError: A raster cannot be read, or lacks a band that the model was trained on.
        OutputError: A result exists already or cannot be written.
    """
    progress = progress or Silence()
    model = read_model(settings.model, settings.output_stride)
    tasks = [_task(raster, settings, model.record) for raster in settings.rasters]
    for task in tasks:
        if not settings.resample:
            warn_of_resolution(task.info, model.record, progress)
    _check_names(tasks, settings)
    device = choose_device(settings.device)
    predictor = TorchPredictor(model, device, choose_precision(settings.precision, device))
    plan = plan_windows(settings.window, model.record.architecture.patch_px, settings.batch)
    return [
        _predict_raster(task, predictor, plan, record=model.record, settings=settings, progress=progress)
        for task in tasks
    ]


@dataclass(frozen=True)
class _Task:
    info: RasterInfo
    class_map: Path
    confidence: Path | None


def _task(raster: Path, settings: PredictSettings, record: ModelRecord) -> _Task:
    info = describe_raster(raster)
    check_bands(info, record, settings.model)
    if settings.resample and record.resolution_m is None:
        raise RasterError(
            "the model's ground resolution is not known",
            where=settings.model,
            expected="a model trained on georeferenced rasters",
            hint="Leave out --resample.",
        )
    is_folder = len(settings.rasters) > 1 or settings.output.is_dir()
    name = f"{raster.stem}.tif"
    class_map = settings.output / name if is_folder else settings.output
    confidence = settings.confidence
    if confidence is not None and is_folder:
        confidence = confidence / name
    for path in (class_map, confidence):
        if path is not None:
            check_output(path, overwrite=settings.overwrite)
    return _Task(info, class_map, confidence)


def _check_names(tasks: list[_Task], settings: PredictSettings) -> None:
    """Refuse two results of one name, and results that would replace what is read."""
    outputs = [p.resolve() for t in tasks for p in (t.class_map, t.confidence) if p is not None]
    inputs = [settings.model, settings.area, *settings.rasters]
    taken = {p.resolve() for p in inputs if p is not None}
    for path in outputs:
        if outputs.count(path) > 1 or path in taken:
            raise OutputError(
                "two files of this call would have this name",
                where=path,
                hint="Choose another output, or predict rasters of the same name apart.",
            )


def check_bands(info: RasterInfo, record: ModelRecord, where: Path) -> None:
    """Make sure that a raster has the bands the model was trained on.

    Raises:
        RasterError: It has fewer.
    """
    if info.bands < max(record.bands):
        raise RasterError(
            "this raster lacks bands that the model was trained on",
            where=info.path,
            expected=f"bands {', '.join(map(str, record.bands))} ({where.name})",
            got=f"{info.bands} band(s)",
        )


def warn_of_resolution(info: RasterInfo, record: ModelRecord, progress: Progress) -> None:
    """Say so when the ground resolution differs from the training rasters' by more than a factor of 2."""
    if info.resolution_m is None or record.resolution_m is None:
        return
    factor = info.resolution_m / record.resolution_m
    if max(factor, 1 / factor) > RESOLUTION_TOLERANCE:
        progress.warn(
            f"{info.path} has pixels of {info.resolution_m:.3g} m, the model was trained at "
            f"{record.resolution_m:.3g} m; the map may be poor. --resample computes at the model's resolution."
        )


def _predict_raster(
    task: _Task,
    predictor: Predictor,
    plan: WindowPlan,
    *,
    record: ModelRecord,
    settings: PredictSettings,
    progress: Progress,
) -> Prediction:
    counts = np.zeros(256, np.int64)
    resolution_m = record.resolution_m if settings.resample else None
    with ExitStack() as stack:
        source = stack.enter_context(
            open_raster(task.info.path, bands=record.bands, resolution_m=resolution_m)
        )
        area = read_area(settings.area, source.info) if settings.area else None
        writers = _open_writers(task, source.info, record, settings=settings, stack=stack)
        progress.start(f"Predicting {task.info.path.name}", count_windows(source, plan))
        for strip in predict_strips(source, predictor, plan, progress=progress):
            inside = np.True_ if area is None else area.inside(strip.window)
            class_ids = np.where(inside, strip.class_ids(), UNLABELLED).astype(np.uint8)
            counts += np.bincount(class_ids.ravel(), minlength=256)
            writers[0].write(strip.window, class_ids)
            if writers[1] is not None:
                writers[1].write(strip.window, np.where(inside, strip.confidence(), np.float32(np.nan)))
    found = {int(k): int(n) for k, n in enumerate(counts) if n}
    return Prediction(task.info.path, task.class_map, task.confidence, found)


def _open_writers(
    task: _Task, grid: RasterInfo, record: ModelRecord, *, settings: PredictSettings, stack: ExitStack
) -> tuple[ClassMapWriter, ConfidenceWriter | None]:
    like = task.info if settings.resample else None
    class_map = class_map_writer(
        task.class_map, grid, record.legend, overwrite=settings.overwrite, like=like, bands=record.bands
    )
    if task.confidence is None:
        return stack.enter_context(class_map), None
    confidence = confidence_writer(
        task.confidence, grid, overwrite=settings.overwrite, like=like, bands=record.bands
    )
    return stack.enter_context(class_map), stack.enter_context(confidence)
