"""Predict class maps of rasters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.mapping.prediction import WindowPlan, plan_windows
from geoseg.domain.ports import Predictor, Progress, PythonWarnings, WarningRecorder
from geoseg.errors import (
    GeoSegError,
    OutputError,
    PixelValuesError,
    RasterError,
    StoppedError,
    join_errors,
)
from geoseg.geodata.areas_of_interest import check_area
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.class_maps import origin_tags
from geoseg.geodata.outputs.file_kinds import (
    AREA_CSV,
    AREA_JSON,
    CLASS_MAP,
    CONFIDENCE,
    CONFORMAL,
    POLYGONS,
    PROBABILITIES,
    STAC,
    STYLE,
)
from geoseg.geodata.outputs.minimum_mapping_unit import mapping_unit
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.points.training_places import places_on
from geoseg.geodata.reading.grids import RasterInfo, describe_missing_georeference
from geoseg.geodata.reading.rasters import describe_raster, local_files, open_raster
from geoseg.learning.model_file import ModelRecord
from geoseg.settings import PredictSettings
from geoseg.workflows.feature_space_check import check_feature_space, warn_of_feature_space
from geoseg.workflows.inputs import validity_for
from geoseg.workflows.library_errors import translate_library_errors
from geoseg.workflows.mapping.distribution import predict_on_workers
from geoseg.workflows.mapping.engines import build_engine
from geoseg.workflows.mapping.raster_map import MapJob, MapTask, map_raster, pixels_by_class
from geoseg.workflows.mapping.raster_prior import check_prior, estimate_raster_prior, with_raster_prior
from geoseg.workflows.mapping.uncertainty import check_uncertainty
from geoseg.workflows.model_at_stride import read_model_at_stride
from geoseg.workflows.value_check import check_values

RESOLUTION_TOLERANCE = 2.0
_ENDINGS = {
    "probabilities": {"probabilities": ".probabilities.tif"},
    "conformal": {"conformal": ".conformal.tif"},
    "polygons": {"polygons": ".gpkg"},
    "areas": {"areas": ".areas.json", "areas_csv": ".areas.csv"},
    "style": {},
    "stac": {"stac": ".stac.json"},
}
_KINDS = {
    "class_map": CLASS_MAP,
    "confidence": CONFIDENCE,
    "probabilities": PROBABILITIES,
    "conformal": CONFORMAL,
    "polygons": POLYGONS,
    "areas": AREA_JSON,
    "areas_csv": AREA_CSV,
    "stac": STAC,
}
_Item = TypeVar("_Item")
_STYLED = {"style": "class_map", "confidence_style": "confidence"}


@dataclass(frozen=True)
class Prediction:
    """The results for one raster.

    Attributes:
        raster: The raster.
        class_map: Its class map.
        confidence: Its confidence raster, if requested.
        pixels: Number of pixels by class id (255: nodata).
        areas: Area of each class: id, name, pixels, hectares, share.
        files: All files written, by role.
        warnings: Possible problems of the map, one sentence each.
    """

    raster: Path
    class_map: Path
    confidence: Path | None
    pixels: dict[int, int]
    areas: list[dict[str, Any]]
    files: dict[str, Path]
    warnings: tuple[str, ...] = ()


@translate_library_errors
def predict(settings: PredictSettings, progress: Progress | None = None) -> list[Prediction]:
    """Predict the class maps of rasters and write each as a Cloud Optimized GeoTIFF.

    All inputs and outputs are checked before the first prediction. A repeated call resumes an interrupted map, even
    after a kill or a full disk, and skips finished maps. If one raster fails, the others are still mapped.

    Raises:
        ModelFileError: The model file cannot be used.
        RasterError: A raster cannot be read, lacks a band that the model was trained on, or has values on another
            scale.
        OutputError: A result exists or cannot be written, or the output has an unfinished map with other settings.
        SettingsError: The backend or precision is not available, or a worker has another version of this package.
        StoppedError: The user stopped it; finished strips are kept.
    """
    progress, model = (
        progress or PythonWarnings(),
        read_model_at_stride(settings.model, settings.output_stride),
    )
    if settings.prior == "raster":
        check_prior(model.record, settings.model)
    check_uncertainty(settings, model.record)
    tasks = _tasks(settings, model.record, progress)
    plan = plan_for(model.record, settings.window, settings.batch)
    engine, predictor = build_engine(settings, model, tasks, plan=plan, progress=progress)
    record = model.record
    del model  # The predictor holds its own copy of the weights.
    # Dask sends each job many times, so it contains only its own raster.
    own = [settings.model_copy(update={"rasters": (task.info.path,)}) for task in tasks]
    jobs = [MapJob(task, engine, one) for task, one in zip(tasks, own, strict=True)]
    if settings.prior == "raster":
        jobs = [_with_own_prior(job, predictor, record, progress=progress) for job in jobs]
    if settings.processes > 1 or settings.scheduler is not None:
        predict_on_workers(jobs, progress=progress)
    made, failed = list[Prediction](), list[GeoSegError]()
    for job in jobs:
        job = replace(job, task=replace(job.task, origin=_origin(job, record)))  # workers do not need it
        try:
            records = map_raster(job, with_raster_prior(predictor, job.engine.identity), progress)
        except StoppedError:
            raise
        except GeoSegError as error:
            if len(jobs) == 1:
                raise
            progress.warn(str(error))
            failed.append(error)
            continue
        made.append(as_prediction(job.task, records, progress))
    if failed:
        raise join_errors(
            failed,
            f"{len(failed)} of {len(tasks)} rasters could not be mapped; the others are mapped",
            where=settings.output,
            hint="Fix these problems and repeat the command (with --overwrite if a raster was changed). "
            "Finished maps are kept.",
        )
    for job in jobs:
        job.store.clear()
    return made


def _origin(job: MapJob, record: ModelRecord) -> dict[str, str]:
    """Return map tags that name the model and its training points on the raster."""
    places, info = record.training_places, job.task.info
    model = {
        "file": job.settings.model.name,
        "recipe": record.recipe,
        "sha256": job.engine.identity["model_sha256"],
    }
    return origin_tags(model, None if places is None else places_on(places, info, info.path.stem))


def _with_own_prior(job: MapJob, predictor: Predictor, record: ModelRecord, *, progress: Progress) -> MapJob:
    """Return the job with the class prior of its raster: from the unfinished map, or newly estimated."""
    odds = (StripStore(job.task.files["class_map"]).identity() or {}).get("odds")
    if odds is None or job.settings.overwrite:
        with job.open() as source:
            odds = estimate_raster_prior(
                source, predictor, record, context_px=job.engine.plan.context_px, progress=progress
            )
    return replace(job, engine=replace(job.engine, identity={**job.engine.identity, "odds": odds}))


def plan_for(record: ModelRecord, window: int | None, batch: int = 1) -> WindowPlan:
    """Plan the windows for a model with its measured context, or half a patch if the context is unknown."""
    architecture = record.architecture
    context = architecture.patch_px // 2 if record.context_px is None else record.context_px
    return plan_windows(window, context, batch=batch, enlarge=architecture.enlarge)


def as_prediction(task: MapTask, records: list[dict[str, Any]], progress: Progress) -> Prediction:
    """Return the result of a finished map; warn if all of it is nodata."""
    pixels, noted = pixels_by_class(records), WarningRecorder(progress)
    if not any(count for class_id, count in pixels.items() if class_id != UNLABELLED):
        noted.warn(
            f"{task.info.path} has no valid pixel, so {task.files['class_map']} is all nodata. Check the nodata value, mask "
            "and alpha band of the raster, and the area of interest."
        )
    return Prediction(
        raster=task.info.path,
        class_map=task.files["class_map"],
        confidence=task.files.get("confidence"),
        pixels=pixels,
        areas=records,
        files=dict(task.files),
        warnings=(*task.warnings, *noted.warnings),
    )


def _tasks(settings: PredictSettings, record: ModelRecord, progress: Progress) -> list[MapTask]:
    """Check all inputs and outputs, and return one task per raster."""
    tasks = _of_each(settings.rasters, lambda raster: _task(raster, settings, record, progress=progress))
    _check_names(tasks)
    if settings.area is not None:
        check_area(settings.area)
    return _of_each(tasks, lambda task: _with_values_checked(task, settings, record, progress=progress))


def _of_each(items: Sequence[_Item], check: Callable[[_Item], MapTask]) -> list[MapTask]:
    """Return the task of each raster from a check; raise one error for all rasters that fail."""
    passed, failed = list[MapTask](), list[GeoSegError]()
    for item in items:
        try:
            passed.append(check(item))
        except GeoSegError as error:
            failed.append(error)
    if failed:
        is_same_error = len(set(map(str, failed))) == 1
        what = f"{len(failed)} of {len(items)} rasters cannot be mapped; no raster was mapped"
        raise failed[0] if is_same_error else join_errors(failed, what)
    return passed


def _with_values_checked(
    task: MapTask, settings: PredictSettings, record: ModelRecord, *, progress: Progress
) -> MapTask:
    warnings = _check_values(task.info, settings, record)
    for warning in warnings:
        progress.warn(warning)
    return replace(task, warnings=(*task.warnings, *warnings))


def _check_values(info: RasterInfo, settings: PredictSettings, record: ModelRecord) -> tuple[str, ...]:
    try:
        with open_raster(info.path, bands=record.bands, validity=validity_for(settings, record)) as source:
            return check_values(source, record, any_values=settings.any_values)
    except PixelValuesError:
        raise
    except RasterError:
        return ()  # A damaged raster. The prediction reports the location, and maps the other rasters.


def _task(raster: Path, settings: PredictSettings, record: ModelRecord, *, progress: Progress) -> MapTask:
    info = describe_raster(raster)
    for note in info.notes:
        progress.say(note)
    check_bands(info, record, settings.model)
    if settings.resample and record.resolution_m is None:
        raise RasterError(
            "the model has no ground resolution",
            where=settings.model,
            expected="a model trained on georeferenced rasters",
            hint="Leave out --resample.",
        )
    if settings.min_area and info.crs is None:
        raise RasterError(
            "a raster without a CRS has no known pixel area", where=raster, hint="Leave out --min-area."
        )
    mapping_unit(settings.min_area, info)  # Raises an error before the prediction, not after it.
    task = make_task(info, settings, progress)
    if settings.resample:
        return task
    noted = WarningRecorder(progress)
    warn_of_resolution(info, record, noted)
    warn_of_feature_space(info, record, noted)
    return replace(task, warnings=(*task.warnings, *noted.warnings))


def make_task(info: RasterInfo, settings: PredictSettings, progress: Progress) -> MapTask:
    """Return the output files of a raster, after checking that they can be written.

    Raises:
        OutputError: A file exists already, is an input or cannot be written.
    """
    noted, raster = WarningRecorder(progress), info.path
    files = _files(raster, settings)
    check_apart(files.values(), [settings.model, settings.area, *settings.rasters, *local_files(raster)])
    store = StripStore(files["class_map"])
    store.check_folder()
    claimed = [path for path in files.values() if store.has_claimed(path)]
    for role, path in files.items():
        check_output(path, _KINDS[role], overwrite=settings.overwrite or path in claimed)
    styles = _styles(files, settings, noted)
    missing = describe_missing_georeference(info)
    if missing is not None:
        noted.warn(missing)
    replaces = settings.overwrite or bool(claimed)
    return MapTask(info, files | styles, replaces=replaces, warnings=tuple(noted.warnings))


def _styles(files: Mapping[str, Path], settings: PredictSettings, progress: Progress) -> dict[str, Path]:
    """Return the style files to write by role, without those that would replace a user's own style."""
    if not settings.style and "style" not in settings.also:
        return {}
    wanted = {role: files[of].with_suffix(".qml") for role, of in _STYLED.items() if of in files}
    own = {role for role, path in wanted.items() if path.exists() and not STYLE.recognises(path)}
    for role in own:
        progress.warn(
            f"{wanted[role]} is not a style from GeoSeg-PointAI and is not replaced. "
            f"QGIS will use it for {files[_STYLED[role]].name}."
        )
    return {role: path for role, path in wanted.items() if role not in own}


def _files(raster: Path, settings: PredictSettings) -> dict[str, Path]:
    """Return the output files by role, without styles."""
    is_folder = len(settings.rasters) > 1 or settings.into_folder or settings.output.is_dir()
    if is_folder:
        _check_folders(settings)
    name = f"{raster.stem}.tif"
    files = {"class_map": settings.output / name if is_folder else settings.output}
    if settings.confidence is not None:
        files["confidence"] = settings.confidence / name if is_folder else settings.confidence
    for what in settings.also:
        files |= {role: files["class_map"].with_suffix(e) for role, e in _ENDINGS[what].items()}
    return files


def _check_folders(settings: PredictSettings) -> None:
    """Check that the outputs for several rasters are folders, not files."""
    for folder in (settings.output, settings.confidence):
        if folder is not None and not folder.is_dir() and folder.suffix.lower() in CLASS_MAP.endings:
            raise OutputError(
                "the output for several maps must be a folder, but this is a file name",
                where=folder,
                expected="a folder, such as maps/",
            )


def _check_names(tasks: list[MapTask]) -> None:
    """Check that all outputs have different paths."""
    outputs = Counter(path.resolve() for task in tasks for path in task.files.values())
    for path, times in outputs.items():
        if times > 1:
            raise OutputError(
                "two outputs would have this name",
                where=path,
                hint="Choose another output, or predict rasters with the same name in separate commands.",
            )


def check_bands(info: RasterInfo, record: ModelRecord, where: Path) -> None:
    """Check that a raster has the bands that the model was trained on.

    Raises:
        RasterError: The raster lacks a band, or holds other features.
    """
    check_feature_space(info, record, where)
    if info.bands >= max(record.bands):
        return
    try:
        # An alpha band does not count as a band, unless a model was trained on it.
        open_raster(info.path, bands=record.bands).close()
    except RasterError as error:
        raise RasterError(
            "this raster lacks bands that the model was trained on",
            where=info.path,
            expected=f"bands {', '.join(map(str, record.bands))} ({where.name})",
            got=f"{info.bands} band(s)",
        ) from error


def warn_of_resolution(info: RasterInfo, record: ModelRecord, progress: Progress) -> None:
    """Warn if the ground resolution differs from that of the training rasters by more than a factor of 2."""
    if info.resolution_m is None or record.resolution_m is None:
        return
    factor = info.resolution_m / record.resolution_m
    if max(factor, 1 / factor) > RESOLUTION_TOLERANCE:
        progress.warn(
            f"{info.path} has pixels of {info.resolution_m:.3g} m, but the model was trained at "
            f"{record.resolution_m:.3g} m. The map may be poor. --resample predicts at the model's resolution."
        )
