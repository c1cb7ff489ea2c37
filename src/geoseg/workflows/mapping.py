"""The map of one raster: finished strips first, then every file that is made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.domain.class_areas import ClassAreas
from geoseg.domain.legend import Legend
from geoseg.domain.ports import Predictor, Progress
from geoseg.domain.prediction import Strip, WindowPlan, count_strips, count_windows, predict_strips
from geoseg.errors import StoppedError
from geoseg.geodata.areas import read_area
from geoseg.geodata.class_maps import class_map_writer, confidence_writer, probabilities_writer
from geoseg.geodata.cogs import BandWriter
from geoseg.geodata.grids import RasterInfo, pixel_m2
from geoseg.geodata.outputs import write_json, write_text
from geoseg.geodata.polygons import polygon_writer
from geoseg.geodata.rasters import Raster, open_raster
from geoseg.geodata.stac import stac_item
from geoseg.geodata.strips import StripStore
from geoseg.geodata.styles import qgis_style
from geoseg.settings import PredictSettings

Write = Callable[[Strip], None]


@dataclass(frozen=True)
class Task:
    """A raster to map, and the files to make of it by role; "class_map" is always among them."""

    info: RasterInfo
    files: Mapping[str, Path]


@dataclass(frozen=True)
class Engine:
    """What maps rasters: a predictor, how it cuts them, and what the maps say of it.

    Attributes:
        predictor: The model on its device.
        plan: How rasters are cut.
        legend: The classes.
        bands: Bands that the model takes.
        resolution_m: Ground resolution that it computes at; None: the raster's own.
        identity: What makes two runs of it give the same pixels; JSON values.
        description: What a STAC item says of the model.
    """

    predictor: Predictor
    plan: WindowPlan
    legend: Legend
    bands: tuple[int, ...]
    resolution_m: float | None
    identity: Mapping[str, Any]
    description: Mapping[str, Any]


def map_raster(
    task: Task, engine: Engine, *, settings: PredictSettings, progress: Progress
) -> list[dict[str, Any]]:
    """Predict the strips that are missing, then write every file; return the classes' areas.

    Raises:
        RasterError: The raster breaks midway.
        OutputError: Something cannot be written, or an unfinished map of other settings is there.
        StoppedError: The user stopped it; finished strips are kept.
    """
    store = StripStore(task.files["class_map"])
    with ExitStack() as stack:
        source = stack.enter_context(
            open_raster(task.info.path, bands=engine.bands, resolution_m=engine.resolution_m)
        )
        stack.callback(store.clear_if_empty)
        store.begin(_identity(task, engine, settings), overwrite=settings.overwrite)
        try:
            _fill(store, source, task, engine=engine, settings=settings, progress=progress)
            records = _write_files(store, source, task, engine=engine, settings=settings, progress=progress)
        except KeyboardInterrupt as error:
            done = len(store.finished())
            if not done:
                raise
            raise StoppedError(
                f"stopped; {done} of {count_strips(source, engine.plan)} strips of this raster are finished",
                where=task.info.path,
                hint="Repeat the command to go on.",
            ) from error
        store.clear()
    return records


def missing_ranges(finished: set[int], count: int) -> Iterator[range]:
    """Yield the unbroken ranges of strips that are not finished."""
    edges = [-1, *sorted(k for k in finished if k < count), count]
    for before, after in pairwise(edges):
        if after - before > 1:
            yield range(before + 1, after)


def _identity(task: Task, engine: Engine, settings: PredictSettings) -> dict[str, Any]:
    """Return what makes a map the same map."""
    path = task.info.path
    state = path.stat() if path.exists() else None
    return {
        "raster": str(path.resolve()),
        "raster_bytes": state.st_size if state else None,
        "raster_changed_ns": state.st_mtime_ns if state else None,
        "area_sha256": sha256(settings.area.read_bytes()).hexdigest() if settings.area else None,
        "probabilities": "probabilities" in task.files,
        "resolution_m": engine.resolution_m,
        **asdict(engine.plan),
        **engine.identity,
    }


def _fill(
    store: StripStore,
    source: Raster,
    task: Task,
    *,
    engine: Engine,
    settings: PredictSettings,
    progress: Progress,
) -> None:
    area = read_area(settings.area, source.info) if settings.area else None
    count = count_strips(source, engine.plan)
    missing = list(missing_ranges(store.finished(), count))
    if sum(map(len, missing)) < count:
        progress.say(
            f"{task.info.path.name}: going on; {count - sum(map(len, missing))} of {count} strips are there"
        )
    windows = sum(count_windows(source, engine.plan, part) for part in missing)
    progress.start(f"Predicting {task.info.path.name}", windows)
    for part in missing:
        strips = predict_strips(
            source,
            engine.predictor,
            engine.plan,
            progress=progress,
            strips=part,
            has_probabilities="probabilities" in task.files,
        )
        for strip in strips:
            store.write(strip if area is None else strip.masked(area.inside(strip.window)))


def _write_files(
    store: StripStore,
    source: Raster,
    task: Task,
    *,
    engine: Engine,
    settings: PredictSettings,
    progress: Progress,
) -> list[dict[str, Any]]:
    count = count_strips(source, engine.plan)
    progress.start(f"Writing {task.files['class_map'].name}", count)
    areas = ClassAreas()
    with ExitStack() as stack:
        writes = [stack.enter_context(w) for w in _writers(task, source.info, engine, settings=settings)]
        for strip in store.strips(count):
            areas.add(strip.class_ids, pixel_m2(source.info, strip.window))
            for write in writes:
                write(strip)
            progress.advance()
    records = areas.to_records(engine.legend)
    _write_tables(records, task, engine, settings=settings)
    return records


def _writers(
    task: Task, grid: RasterInfo, engine: Engine, *, settings: PredictSettings
) -> Iterator[AbstractContextManager[Write]]:
    """Yield what writes each file as the strips come; a file appears when its context ends well."""
    files, legend = task.files, engine.legend
    like = task.info if engine.resolution_m is not None else None
    options: dict[str, Any] = {"overwrite": settings.overwrite, "like": like, "bands": engine.bands}
    yield _of_band(class_map_writer(files["class_map"], grid, legend, **options), "class_ids")
    if "confidence" in files:
        yield _of_band(confidence_writer(files["confidence"], grid, **options), "confidence")
    if "probabilities" in files:
        yield _of_band(probabilities_writer(files["probabilities"], grid, legend, **options), "probabilities")
    if "polygons" in files:
        yield _of_polygons(files["polygons"], grid, legend, settings=settings)


@contextmanager
def _of_band(writer: AbstractContextManager[BandWriter], name: str) -> Iterator[Write]:
    with writer as band:
        yield lambda strip: band.write(strip.window, getattr(strip, name))


@contextmanager
def _of_polygons(
    path: Path, grid: RasterInfo, legend: Legend, *, settings: PredictSettings
) -> Iterator[Write]:
    sizes = {"min_area_m2": settings.min_area, "simplify_m": settings.simplify}
    with polygon_writer(path, grid, legend, overwrite=settings.overwrite, **sizes) as polygons:
        yield polygons.write


def _write_tables(
    records: list[dict[str, Any]], task: Task, engine: Engine, *, settings: PredictSettings
) -> None:
    files = task.files
    if "areas" in files:
        write_json(files["areas"], {"classes": records}, overwrite=settings.overwrite)
        write_text(files["areas_csv"], _csv(records), overwrite=settings.overwrite)
    if "style" in files:
        write_text(files["style"], qgis_style(engine.legend), overwrite=settings.overwrite)
    if "stac" in files:
        described = {role: path for role, path in files.items() if role != "stac"}
        item = stac_item(task.info, engine.legend, described, model=engine.description)
        write_json(files["stac"], item, overwrite=settings.overwrite)


def _csv(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def pixels_by_class(records: list[dict[str, Any]]) -> dict[int, int]:
    """Return the pixels of each class id that the map has; 255 is nodata."""
    return {record["id"]: record["pixels"] for record in records if np.any(record["pixels"])}
