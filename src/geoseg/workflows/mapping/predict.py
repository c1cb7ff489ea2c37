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
from geoseg.errors import GeoSegError, OutputError, PixelValuesError, RasterError, StoppedError, join_faults
from geoseg.geodata.areas_of_interest import check_area
from geoseg.geodata.outputs.atomic_files import check_apart, check_output
from geoseg.geodata.outputs.class_maps import origin_tags
from geoseg.geodata.outputs.file_kinds import (
    AREA_CSV,
    AREA_JSON,
    CLASS_MAP,
    CONFIDENCE,
    POLYGONS,
    PROBABILITIES,
    STAC,
    STYLE,
)
from geoseg.geodata.outputs.minimum_mapping_unit import mapping_unit
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.points.training_places import places_on
from geoseg.geodata.reading.grids import RasterInfo, describe_missing_place
from geoseg.geodata.reading.rasters import describe_raster, files_behind, open_raster
from geoseg.networks.models.model_file import ModelRecord, read_model
from geoseg.settings import PredictSettings
from geoseg.workflows.inputs import validity_for
from geoseg.workflows.library_faults import plain_faults
from geoseg.workflows.mapping.distribution import spread_strips
from geoseg.workflows.mapping.engines import build_engine
from geoseg.workflows.mapping.raster_map import MapJob, MapTask, map_raster, pixels_by_class
from geoseg.workflows.mapping.raster_prior import check_prior, estimate_raster_prior, with_raster_prior
from geoseg.workflows.value_check import check_values

RESOLUTION_TOLERANCE = 2.0
_ENDINGS = {
    "probabilities": {"probabilities": ".probabilities.tif"},
    "polygons": {"polygons": ".gpkg"},
    "areas": {"areas": ".areas.json", "areas_csv": ".areas.csv"},
    "style": {},
    "stac": {"stac": ".stac.json"},
}
_KINDS = {
    "class_map": CLASS_MAP,
    "confidence": CONFIDENCE,
    "probabilities": PROBABILITIES,
    "polygons": POLYGONS,
    "areas": AREA_JSON,
    "areas_csv": AREA_CSV,
    "stac": STAC,
}
_Item = TypeVar("_Item")
_STYLED = {"style": "class_map", "confidence_style": "confidence"}


@dataclass(frozen=True)
class Prediction:
    """One raster's results.

    Attributes:
        raster: The raster.
        class_map: Its class map.
        confidence: Its confidence raster, if it was asked for.
        pixels: Pixels of each class by id (255: nodata).
        areas: What each class covers: id, name, pixels, hectares, share.
        files: Every file written, by role.
        warnings: What may spoil the map, one sentence each.
    """

    raster: Path
    class_map: Path
    confidence: Path | None
    pixels: dict[int, int]
    areas: list[dict[str, Any]]
    files: dict[str, Path]
    warnings: tuple[str, ...] = ()


@plain_faults
def predict(settings: PredictSettings, progress: Progress | None = None) -> list[Prediction]:
    """Predict the class map of one raster or several and write each as a cloud-optimised GeoTIFF.

    All inputs and outputs are checked before the first raster is predicted. A map that was stopped, by a kill or
    a full disk even, goes on from its finished strips when the call is repeated, and maps that are made are not made
    again. Of several rasters one that breaks midway does not keep the others from being mapped.

    Raises:
        ModelFileError: The model file cannot be used.
        RasterError: A raster cannot be read, lacks a band that the model was trained on, or holds values on another
            scale.
        OutputError: A result exists already or cannot be written, or an unfinished map of other settings is there.
        SettingsError: A backend, a precision, or a worker's version of this package does not fit.
        StoppedError: The user stopped it; finished strips are kept.
    """
    progress = progress or PythonWarnings()
    model = read_model(settings.model, settings.output_stride)
    if settings.prior == "raster":
        check_prior(model.record, settings.model)
    tasks = _tasks(settings, model.record, progress)
    plan = plan_for(model.record, settings.window, settings.batch)
    engine, predictor = build_engine(settings, model, tasks, plan=plan, progress=progress)
    record = model.record
    del model  # The predictor has weights of its own.
    # Each with its own raster alone: a work is sent to workers many times.
    works = [
        MapJob(task, engine, settings.model_copy(update={"rasters": (task.info.path,)})) for task in tasks
    ]
    if settings.prior == "raster":
        works = [_with_own_prior(work, predictor, record, progress=progress) for work in works]
    if settings.processes > 1 or settings.scheduler is not None:
        spread_strips(works, progress=progress)
    made, failed = list[Prediction](), list[GeoSegError]()
    for work in works:
        # Only here: workers have no use for it.
        work = replace(work, task=replace(work.task, origin=_origin(work, record)))
        try:
            records = map_raster(work, with_raster_prior(predictor, work.engine.identity), progress)
        except StoppedError:
            raise
        except GeoSegError as error:
            if len(works) == 1:
                raise
            progress.warn(str(error))
            failed.append(error)
            continue
        made.append(_prediction(work.task, records, progress))
    if failed:
        raise join_faults(
            failed,
            f"{len(failed)} of {len(tasks)} rasters could not be mapped, the others are",
            where=settings.output,
            hint="Mend what is named and repeat the command (with --overwrite if that raster was changed): "
            "maps that are made are not made again.",
        )
    for work in works:
        work.store.clear()
    return made


def _origin(work: MapJob, record: ModelRecord) -> dict[str, str]:
    """Return the tags that say which model made a map, and which of its training points lie there."""
    places, info = record.training_places, work.task.info
    model = {
        "file": work.settings.model.name,
        "recipe": record.recipe,
        "sha256": work.engine.identity["model_sha256"],
    }
    return origin_tags(model, None if places is None else places_on(places, info, info.path.stem))


def _with_own_prior(work: MapJob, predictor: Predictor, record: ModelRecord, *, progress: Progress) -> MapJob:
    """Return the work with the odds of its raster: those it was begun with, or new ones."""
    odds = (StripStore(work.task.files["class_map"]).identity() or {}).get("odds")
    if odds is None or work.settings.overwrite:
        with work.open() as source:
            odds = estimate_raster_prior(
                source, predictor, record, context_px=work.engine.plan.context_px, progress=progress
            )
    return replace(work, engine=replace(work.engine, identity={**work.engine.identity, "odds": odds}))


def plan_for(record: ModelRecord, window: int | None, batch: int = 1) -> WindowPlan:
    """Plan windows for a model: its measured context, or half a patch where none is known."""
    architecture = record.architecture
    context = record.context_px or architecture.patch_px // 2
    return plan_windows(window, context, batch=batch, enlarge=architecture.enlarge)


def _prediction(task: MapTask, records: list[dict[str, Any]], progress: Progress) -> Prediction:
    pixels, noted = pixels_by_class(records), WarningRecorder(progress)
    if not any(count for class_id, count in pixels.items() if class_id != UNLABELLED):
        noted.warn(
            f"{task.info.path} has no valid pixel to map, so {task.files['class_map']} is nodata everywhere. Check its nodata "
            "value, mask and alpha band, and the area if one was given."
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
    """Check all that goes in and comes out."""
    tasks = _of_each(settings.rasters, lambda raster: _task(raster, settings, record, progress=progress))
    _check_names(tasks)
    if settings.area is not None:
        check_area(settings.area)
    return _of_each(tasks, lambda task: _with_values_checked(task, settings, record, progress=progress))


def _of_each(items: Sequence[_Item], check: Callable[[_Item], MapTask]) -> list[MapTask]:
    """Return what a check gives for each raster; the error names all rasters that fail it."""
    passed, failed = list[MapTask](), list[GeoSegError]()
    for item in items:
        try:
            passed.append(check(item))
        except GeoSegError as error:
            failed.append(error)
    if failed:
        is_one_fault = len(set(map(str, failed))) == 1
        what = f"{len(failed)} of {len(items)} rasters cannot be mapped, and none was"
        raise failed[0] if is_one_fault else join_faults(failed, what)
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
        return ()  # The raster is damaged. Mapping names the place, and the other rasters are mapped.


def _task(raster: Path, settings: PredictSettings, record: ModelRecord, *, progress: Progress) -> MapTask:
    noted = WarningRecorder(progress)
    info = describe_raster(raster)
    check_bands(info, record, settings.model)
    if settings.resample and record.resolution_m is None:
        raise RasterError(
            "the model's ground resolution is not known",
            where=settings.model,
            expected="a model trained on georeferenced rasters",
            hint="Leave out --resample.",
        )
    if settings.min_area and info.crs is None:
        raise RasterError(
            "areas are not known on a raster without a CRS", where=raster, hint="Leave out --min-area."
        )
    mapping_unit(settings.min_area, info)  # Raises before the work, not after it.
    files = _files(raster, settings)
    check_apart(files.values(), [settings.model, settings.area, *settings.rasters, *files_behind(raster)])
    store = StripStore(files["class_map"])
    store.check_folder()
    claimed = [path for path in files.values() if store.has_claimed(path)]
    for role, path in files.items():
        check_output(path, _KINDS[role], overwrite=settings.overwrite or path in claimed)
    styles = _styles(files, settings, noted)
    missing = describe_missing_place(info)
    if missing is not None:
        noted.warn(missing)
    if not settings.resample:
        warn_of_resolution(info, record, noted)
    replaces = settings.overwrite or bool(claimed)
    return MapTask(info, files | styles, replaces=replaces, warnings=tuple(noted.warnings))


def _styles(files: Mapping[str, Path], settings: PredictSettings, progress: Progress) -> dict[str, Path]:
    """Return the style files to write by role; a style of the user's own stays."""
    if not settings.style and "style" not in settings.also:
        return {}
    wanted = {role: files[of].with_suffix(".qml") for role, of in _STYLED.items() if of in files}
    own = {role for role, path in wanted.items() if path.exists() and not STYLE.recognises(path)}
    for role in own:
        progress.warn(
            f"{wanted[role]} is not a style that GeoSeg-PointAI wrote and stays as it is; "
            f"QGIS will show {files[_STYLED[role]].name} with it."
        )
    return {role: path for role, path in wanted.items() if role not in own}


def _files(raster: Path, settings: PredictSettings) -> dict[str, Path]:
    """Return the files to make by role, without styles."""
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
    """Refuse the name of a file where a folder is needed for the maps of several rasters."""
    for folder in (settings.output, settings.confidence):
        if folder is not None and not folder.is_dir() and folder.suffix.lower() in CLASS_MAP.endings:
            raise OutputError(
                "the maps go to a folder, and this is the name of a file",
                where=folder,
                expected="a folder, such as maps/",
            )


def _check_names(tasks: list[MapTask]) -> None:
    """Refuse two results of one name."""
    outputs = Counter(path.resolve() for task in tasks for path in task.files.values())
    for path, times in outputs.items():
        if times > 1:
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
    """Say so when the ground resolution differs from the training rasters' by more than a factor of 2."""
    if info.resolution_m is None or record.resolution_m is None:
        return
    factor = info.resolution_m / record.resolution_m
    if max(factor, 1 / factor) > RESOLUTION_TOLERANCE:
        progress.warn(
            f"{info.path} has pixels of {info.resolution_m:.3g} m, the model was trained at "
            f"{record.resolution_m:.3g} m; the map may be poor. --resample computes at the model's resolution."
        )
