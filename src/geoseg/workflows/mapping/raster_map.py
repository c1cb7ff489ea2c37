"""Map one raster: predict its strips, then write the output files from them."""

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
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.mapping.abstention import abstain
from geoseg.domain.mapping.class_areas import ClassAreas
from geoseg.domain.mapping.prediction import (
    STEPS,
    Strip,
    WindowPlan,
    count_strips,
    count_windows,
    predict_strips,
)
from geoseg.domain.ports import Predictor, Progress
from geoseg.errors import StoppedError
from geoseg.geodata.areas_of_interest import area_digest, read_area
from geoseg.geodata.outputs.atomic_files import remove_leftovers, write_json, write_text
from geoseg.geodata.outputs.class_maps import (
    class_map_writer,
    confidence_writer,
    probabilities_writer,
    set_size_writer,
)
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
from geoseg.learning.conformal import set_sizes
from geoseg.settings import PredictSettings


@dataclass(frozen=True)
class OutputStrip:
    """A strip in the form that is written to the files.

    Attributes:
        of_map: For the class map, the confidence and the probabilities.
        of_polygons: For the polygons; merged pixels have no confidence.
    """

    of_map: Strip
    of_polygons: Strip


Write = Callable[[OutputStrip], None]


@dataclass(frozen=True)
class MapTask:
    """A raster to map.

    Attributes:
        info: The raster.
        files: The output files by role; always includes "class_map".
        replaces: Whether existing files may be replaced.
        origin: Tags of the class map that name its model.
        warnings: Possible problems of the map, one sentence each.
    """

    info: RasterInfo
    files: Mapping[str, Path]
    replaces: bool
    origin: Mapping[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class Engine:
    """Settings for mapping that are the same for all rasters of a command.

    Attributes:
        plan: The division of rasters into windows.
        legend: The classes.
        bands: The input bands of the model.
        resolution_m: Ground resolution of the prediction; None: that of the raster.
        validity: The rule for valid pixels.
        identity: Settings that determine the pixel values; JSON values.
        description: Properties of the model for a STAC item.
        conformal: Probability of each class from which it belongs to a conformal set; empty if not known.
    """

    plan: WindowPlan
    legend: Legend
    bands: tuple[int, ...]
    resolution_m: float | None
    validity: Validity
    identity: Mapping[str, Any]
    description: Mapping[str, Any]
    conformal: tuple[float, ...] = ()


@dataclass(frozen=True)
class MapJob:
    """The map of one raster: its task, engine and settings."""

    task: MapTask
    engine: Engine
    settings: PredictSettings

    @property
    def store(self) -> StripStore:
        """The store of its finished strips."""
        return StripStore(self.task.files["class_map"], self.identity)

    @property
    def has_probabilities(self) -> bool:
        """Whether its strips hold the probabilities of all classes."""
        return not {"probabilities", "conformal"}.isdisjoint(self.task.files)

    def open(self) -> Raster:
        """Open its raster with the bands and resolution of the model."""
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
        """Inputs and settings that determine the strips of this map, read at first access; JSON values."""
        path, area = self.task.info.path, self.settings.area
        return {
            "raster": remote_url(path) or str(path.resolve()),
            "raster_files": raster_identity(path),
            "area_sha256": area_digest(area) if area else None,
            "probabilities": self.has_probabilities,
            "resolution_m": self.engine.resolution_m,
            **asdict(self.engine.plan),
            **self.engine.identity,
        }

    @property
    def outcome(self) -> dict[str, Any]:
        """Inputs and settings that determine the output files of this map; JSON values."""
        has_polygons = "polygons" in self.task.files
        return {
            **self.identity,
            **({"abstain": self.settings.abstain} if self.settings.abstain is not None else {}),
            "min_area": self.settings.min_area if has_polygons else self.settings.min_area or 0,
            **({"simplify": self.settings.simplify} if has_polygons else {}),
        }

    def begin(self) -> None:
        """Prepare the store.

        Raises:
            OutputError: The store has strips with other settings.
        """
        self.store.begin(overwrite=self.settings.overwrite)

    def made(self) -> list[dict[str, Any]] | None:
        """Return the class areas if an earlier run finished all files of this map, else None."""
        areas = self.store.made(self.outcome)
        return areas if all(path.exists() for path in self.task.files.values()) else None


def map_raster(job: MapJob, predictor: Predictor, progress: Progress) -> list[dict[str, Any]]:
    """Predict the missing strips, then write all files; return the class areas. Mark the map as finished in its store.

    Raises:
        RasterError: The raster is damaged.
        OutputError: A file cannot be written, or the output has an unfinished map with other settings.
        StoppedError: The user stopped it; finished strips are kept.
    """
    store = job.store
    earlier = job.made()
    if earlier is not None:
        progress.say(f"{job.task.info.path.name}: already mapped by an earlier run of this command")
        return earlier
    with ExitStack() as stack:
        source = stack.enter_context(job.open())
        job.begin()
        stack.callback(store.clear_if_empty)
        try:
            _fill(job, source, predictor, progress=progress)
            records = _write_files(job, source, progress)
        except KeyboardInterrupt as error:
            done = len(store.finished())
            if not done:
                raise
            raise StoppedError(
                f"stopped; {done} of {count_strips(source, job.engine.plan)} strips of this raster are finished",
                where=job.task.info.path,
                hint="Repeat the command to resume.",
            ) from error
        store.finish(job.outcome, records)
    return records


def missing_ranges(finished: set[int], within: range) -> Iterator[range]:
    """Yield the contiguous ranges of unfinished strips."""
    edges = [within.start - 1, *sorted(k for k in finished if k in within), within.stop]
    for before, after in pairwise(edges):
        if after - before > 1:
            yield range(before + 1, after)


def predict_and_store_strips(
    job: MapJob, part: range, predictor: Predictor, *, source: Raster, progress: Progress
) -> None:
    """Predict the strips of a range and store each one."""
    area = read_area(job.settings.area, source.info) if job.settings.area else None
    strips = predict_strips(
        source,
        predictor,
        job.engine.plan,
        progress=progress,
        strips=part,
        has_probabilities=job.has_probabilities,
    )
    with closing(strips):
        for strip in strips:
            job.store.write(strip if area is None else strip.masked(area.inside(strip.window)))


def _fill(job: MapJob, source: Raster, predictor: Predictor, *, progress: Progress) -> None:
    plan, name = job.engine.plan, job.task.info.path.name
    count = count_strips(source, plan)
    missing = list(missing_ranges(job.store.finished(), range(count)))
    left = sum(map(len, missing))
    if left < count:
        progress.say(f"{name}: resuming; {count - left} of {count} strips are finished")
    progress.start(f"Predicting {name}", sum(count_windows(source, plan, part) for part in missing))
    for part in missing:
        predict_and_store_strips(job, part, predictor, source=source, progress=progress)


def _write_files(job: MapJob, source: Raster, progress: Progress) -> list[dict[str, Any]]:
    count = count_strips(source, job.engine.plan)
    for path in job.task.files.values():
        if job.store.has_claimed(path):
            remove_leftovers(path)
    job.store.claim(job.task.files.values())
    progress.start(f"Writing {job.task.files['class_map'].name}", count)
    areas, unit = ClassAreas(), mapping_unit(job.settings.min_area, source.info)
    if unit.min_px > 1 and (unit.is_of_map or "polygons" in job.task.files):
        progress.say(f"{job.task.files['class_map'].name}: {unit.describe()}")
    with ExitStack() as stack:
        is_resampled = job.engine.resolution_m is not None
        mask = stack.enter_context(job.open_unresampled()) if is_resampled else None
        writes = [stack.enter_context(writer) for writer in _writers(job, source.info, mask)]
        for strip in _output_strips(job, unit, count):
            made = _abstained(strip, job.settings.abstain)
            areas.add(made.of_map.class_ids, pixel_areas_m2(source.info, made.of_map.window))
            for write in writes:
                write(made)
            progress.advance()
    records = areas.to_records(job.engine.legend)
    _write_tables(job, records)
    return records


def _output_strips(job: MapJob, unit: MappingUnit, count: int) -> Iterator[OutputStrip]:
    """Yield the finished strips for writing, with small regions merged in the map, in polygons, or in neither."""
    if unit.min_px == 1 or not (unit.is_of_map or "polygons" in job.task.files):
        yield from (OutputStrip(strip, strip) for strip in job.store.strips(count))
        return
    # The strips are read twice, because merging needs the class ids of the strips below.
    merged = sieve_blocks(job.store.class_ids(count), unit.min_px)
    for strip, class_ids in zip(job.store.strips(count), merged, strict=True):
        yield OutputStrip(
            of_map=replace(strip, class_ids=class_ids) if unit.is_of_map else strip,
            of_polygons=strip.merged(class_ids),
        )


def _abstained(made: OutputStrip, least: float | None) -> OutputStrip:
    """Return the strip with unsure pixels in the map, and without them in the polygons."""
    return OutputStrip(abstain(made.of_map, least), abstain(made.of_polygons, least, UNLABELLED))


def _writers(job: MapJob, grid: RasterInfo, mask: Raster | None) -> Iterator[AbstractContextManager[Write]]:
    """Yield a writer for each file. The file appears when its context exits without an error."""
    files, engine = job.task.files, job.engine
    legend = engine.legend
    like = job.task.info if mask is not None else None
    options: dict[str, Any] = {"overwrite": job.task.replaces, "like": like, "mask": mask}
    of_map: dict[str, Any] = {"origin": job.task.origin, "abstained_below": job.settings.abstain}
    yield _band_writer(class_map_writer(files["class_map"], grid, legend, **options, **of_map), "class_ids")
    if "confidence" in files:
        yield _band_writer(confidence_writer(files["confidence"], grid, **options), "confidence")
    if "probabilities" in files:
        yield _band_writer(
            probabilities_writer(files["probabilities"], grid, legend, **options), "probabilities"
        )
    if "conformal" in files:
        yield _conformal_writer(files["conformal"], grid, engine.conformal, options=options)
    if "polygons" in files:
        yield _polygon_writer(files["polygons"], grid, job)


@contextmanager
def _band_writer(writer: AbstractContextManager[BandWriter], name: str) -> Iterator[Write]:
    with writer as band:
        yield lambda made: band.write(made.of_map.window, getattr(made.of_map, name))


@contextmanager
def _conformal_writer(
    path: Path, grid: RasterInfo, thresholds: tuple[float, ...], *, options: dict[str, Any]
) -> Iterator[Write]:
    steps = np.floor(np.asarray(thresholds) * STEPS)
    with set_size_writer(path, grid, **options) as band:
        yield lambda made: band.write(made.of_map.window, _set_sizes(made.of_map, steps))


def _set_sizes(strip: Strip, thresholds: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return the number of classes in the conformal set of each pixel (h, w); 255 where there is no class."""
    assert strip.probabilities is not None
    sizes = set_sizes(strip.probabilities, thresholds)
    return np.where(strip.confidence == UNLABELLED, np.uint8(UNLABELLED), sizes)


@contextmanager
def _polygon_writer(path: Path, grid: RasterInfo, job: MapJob) -> Iterator[Write]:
    simplify_m, overwrite = job.settings.simplify, job.task.replaces
    with polygon_writer(path, grid, job.engine.legend, overwrite=overwrite, simplify_m=simplify_m) as writer:
        yield lambda made: writer.write(made.of_polygons)


def _write_tables(job: MapJob, records: list[dict[str, Any]]) -> None:
    files, legend, overwrite = job.task.files, job.engine.legend, job.task.replaces
    if "areas" in files:
        write_json(files["areas"], {"classes": records}, AREA_JSON, overwrite=overwrite)
        write_text(files["areas_csv"], _csv(records), AREA_CSV, overwrite=overwrite)
    if "style" in files:
        write_text(files["style"], class_style(legend, has_unsure=job.settings.abstain is not None), STYLE)
    if "confidence_style" in files:
        write_text(files["confidence_style"], confidence_style(), STYLE)
    if "stac" in files:
        described = {role: path for role, path in files.items() if role != "stac"}
        item = stac_item(job.task.info, legend, described, model=job.engine.description)
        write_json(files["stac"], item, STAC, overwrite=overwrite)


def _csv(records: list[dict[str, Any]]) -> str:
    text = io.StringIO()
    table = csv.DictWriter(text, list(records[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(records)
    return text.getvalue()


def pixels_by_class(records: list[dict[str, Any]]) -> dict[int, int]:
    """Return the number of pixels of each class id in the map; 255 is nodata."""
    return {record["id"]: record["pixels"] for record in records if np.any(record["pixels"])}
