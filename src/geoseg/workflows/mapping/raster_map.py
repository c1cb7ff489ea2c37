"""The map of one raster: finished strips first, then every file that is made of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.domain.legend import Legend
from geoseg.domain.mapping.class_areas import ClassAreas
from geoseg.domain.mapping.prediction import Strip, WindowPlan, count_strips, count_windows, predict_strips
from geoseg.domain.ports import Predictor, Progress
from geoseg.errors import StoppedError
from geoseg.geodata.areas_of_interest import area_digest, read_area
from geoseg.geodata.outputs.atomic_files import remove_leftovers, write_json, write_text
from geoseg.geodata.outputs.class_maps import class_map_writer, confidence_writer, probabilities_writer
from geoseg.geodata.outputs.cogs import BandWriter
from geoseg.geodata.outputs.file_kinds import AREA_CSV, AREA_JSON, STAC, STYLE
from geoseg.geodata.outputs.minimum_mapping_unit import MappingUnit, mapping_unit, sieve_blocks
from geoseg.geodata.outputs.polygons import polygon_writer
from geoseg.geodata.outputs.stac import stac_item
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.outputs.styles import class_style, confidence_style
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.identity import raster_identity
from geoseg.geodata.reading.opening import remote_url
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2
from geoseg.geodata.reading.rasters import Raster, Validity, open_raster
from geoseg.settings import PredictSettings


@dataclass(frozen=True)
class MadeStrip:
    """A strip as files show it.

    Attributes:
        of_map: For the class map, the confidence and the probabilities.
        of_polygons: For the polygons; merged pixels have no confidence.
    """

    of_map: Strip
    of_polygons: Strip


Write = Callable[[MadeStrip], None]


@dataclass(frozen=True)
class MapTask:
    """A raster to map.

    Attributes:
        info: The raster.
        files: The files to make of it by role; "class_map" is always among them.
        replaces: Whether files that are there may be replaced.
        origin: Tags of the class map that say which model made it.
        warnings: What may spoil the map, one sentence each.
    """

    info: RasterInfo
    files: Mapping[str, Path]
    replaces: bool
    origin: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """How rasters are mapped, and what the maps say of it.

    Attributes:
        plan: How rasters are cut.
        legend: The classes.
        bands: Bands that the model takes.
        resolution_m: Ground resolution that it computes at; None: the raster's own.
        validity: Which pixels of a raster are valid.
        identity: What makes two runs of it give the same pixels; JSON values.
        description: What a STAC item says of the model.
    """

    plan: WindowPlan
    legend: Legend
    bands: tuple[int, ...]
    resolution_m: float | None
    validity: Validity
    identity: Mapping[str, Any]
    description: Mapping[str, Any]


@dataclass(frozen=True)
class MapJob:
    """One raster's map: what is to be made, how, and what the user asked for."""

    task: MapTask
    engine: Engine
    settings: PredictSettings

    @property
    def store(self) -> StripStore:
        """Where its finished strips are kept."""
        return StripStore(self.task.files["class_map"], self.identity)

    def open(self) -> Raster:
        """Open its raster as the model takes it."""
        return self._opened(self.engine.resolution_m)

    def open_unresampled(self) -> Raster:
        """Open its raster at the raster's own resolution."""
        return self._opened(None)

    def _opened(self, resolution_m: float | None) -> Raster:
        engine = self.engine
        return open_raster(
            self.task.info.path, bands=engine.bands, resolution_m=resolution_m, validity=engine.validity
        )

    @cached_property
    def identity(self) -> dict[str, Any]:
        """What must be alike for strips to be of this map, as it was when it was first asked for; JSON values."""
        path, area = self.task.info.path, self.settings.area
        return {
            "raster": remote_url(path) or str(path.resolve()),
            "raster_files": raster_identity(path),
            "area_sha256": area_digest(area) if area else None,
            "probabilities": "probabilities" in self.task.files,
            "resolution_m": self.engine.resolution_m,
            **asdict(self.engine.plan),
            **self.engine.identity,
        }

    @property
    def outcome(self) -> dict[str, Any]:
        """What must be alike for the files of two commands to be alike; JSON values."""
        has_polygons = "polygons" in self.task.files
        return {
            **self.identity,
            "min_area": self.settings.min_area if has_polygons else self.settings.min_area or 0,
            **({"simplify": self.settings.simplify} if has_polygons else {}),
        }

    def begin(self) -> None:
        """Prepare the store.

        Raises:
            OutputError: Strips of other settings are there.
        """
        self.store.begin(overwrite=self.settings.overwrite)

    def made(self) -> list[dict[str, Any]] | None:
        """Return what each class covers if an earlier try of the command made all files of this map, or None."""
        areas = self.store.made(self.outcome)
        return areas if all(path.exists() for path in self.task.files.values()) else None


def map_raster(work: MapJob, predictor: Predictor, progress: Progress) -> list[dict[str, Any]]:
    """Predict the strips that are missing, then write every file; return the classes' areas.

    The store is left saying that the map is made.

    Raises:
        RasterError: The raster breaks midway.
        OutputError: Something cannot be written, or an unfinished map of other settings is there.
        StoppedError: The user stopped it; finished strips are kept.
    """
    store = work.store
    earlier = work.made()
    if earlier is not None:
        progress.say(f"{work.task.info.path.name}: its map is there, made by an earlier try of this command")
        return earlier
    with ExitStack() as stack:
        source = stack.enter_context(work.open())
        work.begin()
        stack.callback(store.clear_if_empty)
        try:
            _fill(work, source, predictor, progress=progress)
            records = _write_files(work, source, progress)
        except KeyboardInterrupt as error:
            done = len(store.finished())
            if not done:
                raise
            raise StoppedError(
                f"stopped; {done} of {count_strips(source, work.engine.plan)} strips of this raster are finished",
                where=work.task.info.path,
                hint="Repeat the command to go on.",
            ) from error
        store.finish(work.outcome, records)
    return records


def missing_ranges(finished: set[int], within: range) -> Iterator[range]:
    """Yield the unbroken ranges of strips that are not finished."""
    edges = [within.start - 1, *sorted(k for k in finished if k in within), within.stop]
    for before, after in pairwise(edges):
        if after - before > 1:
            yield range(before + 1, after)


def make_strips(
    work: MapJob, part: range, predictor: Predictor, *, source: Raster, progress: Progress
) -> None:
    """Predict the strips of a range and keep each when it is finished."""
    area = read_area(work.settings.area, source.info) if work.settings.area else None
    strips = predict_strips(
        source,
        predictor,
        work.engine.plan,
        progress=progress,
        strips=part,
        has_probabilities="probabilities" in work.task.files,
    )
    with closing(strips):
        for strip in strips:
            work.store.write(strip if area is None else strip.masked(area.inside(strip.window)))


def _fill(work: MapJob, source: Raster, predictor: Predictor, *, progress: Progress) -> None:
    plan, name = work.engine.plan, work.task.info.path.name
    count = count_strips(source, plan)
    missing = list(missing_ranges(work.store.finished(), range(count)))
    left = sum(map(len, missing))
    if left < count:
        progress.say(f"{name}: going on; {count - left} of {count} strips are there")
    progress.start(f"Predicting {name}", sum(count_windows(source, plan, part) for part in missing))
    for part in missing:
        make_strips(work, part, predictor, source=source, progress=progress)


def _write_files(work: MapJob, source: Raster, progress: Progress) -> list[dict[str, Any]]:
    count = count_strips(source, work.engine.plan)
    for path in work.task.files.values():
        if work.store.has_claimed(path):
            remove_leftovers(path)
    work.store.claim(work.task.files.values())
    progress.start(f"Writing {work.task.files['class_map'].name}", count)
    areas, unit = ClassAreas(), mapping_unit(work.settings.min_area, source.info)
    if unit.min_px > 1 and (unit.is_of_map or "polygons" in work.task.files):
        progress.say(f"{work.task.files['class_map'].name}: {unit.describe()}")
    with ExitStack() as stack:
        is_resampled = work.engine.resolution_m is not None
        mask = stack.enter_context(work.open_unresampled()) if is_resampled else None
        writes = [stack.enter_context(writer) for writer in _writers(work, source.info, mask)]
        for made in _made_strips(work, unit, count):
            areas.add(made.of_map.class_ids, pixel_areas_m2(source.info, made.of_map.window))
            for write in writes:
                write(made)
            progress.advance()
    records = areas.to_records(work.engine.legend)
    _write_tables(work, records)
    return records


def _made_strips(work: MapJob, unit: MappingUnit, count: int) -> Iterator[MadeStrip]:
    """Yield the finished strips as they are written: small regions are merged in the map, in polygons, or in neither."""
    if unit.min_px == 1 or not (unit.is_of_map or "polygons" in work.task.files):
        yield from (MadeStrip(strip, strip) for strip in work.store.strips(count))
        return
    # The strips are read twice: merging needs the class ids of rows further south.
    merged = sieve_blocks(work.store.class_ids(count), unit.min_px)
    for strip, class_ids in zip(work.store.strips(count), merged, strict=True):
        yield MadeStrip(
            of_map=replace(strip, class_ids=class_ids) if unit.is_of_map else strip,
            of_polygons=strip.merged(class_ids),
        )


def _writers(work: MapJob, grid: RasterInfo, mask: Raster | None) -> Iterator[AbstractContextManager[Write]]:
    """Yield what writes each file as the strips come; a file appears when its context ends well."""
    files, engine = work.task.files, work.engine
    legend = engine.legend
    like = work.task.info if mask is not None else None
    options: dict[str, Any] = {"overwrite": work.task.replaces, "like": like, "mask": mask}
    yield _of_band(
        class_map_writer(files["class_map"], grid, legend, **options, origin=work.task.origin), "class_ids"
    )
    if "confidence" in files:
        yield _of_band(confidence_writer(files["confidence"], grid, **options), "confidence")
    if "probabilities" in files:
        yield _of_band(probabilities_writer(files["probabilities"], grid, legend, **options), "probabilities")
    if "polygons" in files:
        yield _of_polygons(files["polygons"], grid, work)


@contextmanager
def _of_band(writer: AbstractContextManager[BandWriter], name: str) -> Iterator[Write]:
    with writer as band:
        yield lambda made: band.write(made.of_map.window, getattr(made.of_map, name))


@contextmanager
def _of_polygons(path: Path, grid: RasterInfo, work: MapJob) -> Iterator[Write]:
    simplify_m, overwrite = work.settings.simplify, work.task.replaces
    with polygon_writer(path, grid, work.engine.legend, overwrite=overwrite, simplify_m=simplify_m) as writer:
        yield lambda made: writer.write(made.of_polygons)


def _write_tables(work: MapJob, records: list[dict[str, Any]]) -> None:
    files, legend, overwrite = work.task.files, work.engine.legend, work.task.replaces
    if "areas" in files:
        write_json(files["areas"], {"classes": records}, AREA_JSON, overwrite=overwrite)
        write_text(files["areas_csv"], _csv(records), AREA_CSV, overwrite=overwrite)
    if "style" in files:
        write_text(files["style"], class_style(legend), STYLE)
    if "confidence_style" in files:
        write_text(files["confidence_style"], confidence_style(), STYLE)
    if "stac" in files:
        described = {role: path for role, path in files.items() if role != "stac"}
        item = stac_item(work.task.info, legend, described, model=work.engine.description)
        write_json(files["stac"], item, STAC, overwrite=overwrite)


def _csv(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def pixels_by_class(records: list[dict[str, Any]]) -> dict[int, int]:
    """Return the pixels of each class id that the map has; 255 is nodata."""
    return {record["id"]: record["pixels"] for record in records if np.any(record["pixels"])}
