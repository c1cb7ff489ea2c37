"""Read the features of rasters in the background: the view first, then cells with points, then the rest."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from geoseg.domain.choices import stratified_choice
from geoseg.domain.windows import Window, grid
from geoseg.errors import GeoSegError, RasterError
from geoseg.geodata.outputs.atomic_files import write_json
from geoseg.inference.threads import cpu_threads
from geoseg.learning.cache_folder import GIB
from geoseg.learning.live.cell_store import CellStore, Place
from geoseg.learning.live.cells import CELL_PX, CellExtractor
from geoseg.learning.normalisation import Normalisation, measure_normalisation
from geoseg.workflows.labelling.page_rasters import PageRaster

LOG = logging.getLogger("geoseg.label")
_WINDOWS, _WINDOW_PX = 48, 256
_MEMORY_BYTES = 512 * 2**20
_MOST_FULL_VIEW = 96
"""A view of more cells is mapped from means in squares of 16 px."""


@dataclass(frozen=True)
class FeatureProgress:
    """Cells of a raster, and of the current view, that are done."""

    done: int
    total: int
    view_done: int
    view_total: int
    message: str | None = None


@dataclass(frozen=True)
class _View:
    raster: str = ""
    cells: tuple[Place, ...] = ()
    is_full: bool = True


class FeatureReader:
    """The features of the rasters of a project, read by one thread.

    Args:
        rasters: The rasters by id.
        folder: Folder of the features in the project.
        cache_gib: Largest size of features at full resolution on disk, for all rasters together.

    Raises:
        RasterError: No pixel of the rasters is valid.
    """

    def __init__(self, rasters: Mapping[str, PageRaster], folder: Path, cache_gib: float) -> None:
        self._rasters = rasters
        bands = min(raster.info.bands for raster in rasters.values())
        self.bands = tuple(range(1, bands + 1))
        self.extractor = CellExtractor(_normalisation(rasters, self.bands, folder), cpu_threads())
        self.stores = {
            key: CellStore(
                folder / f"{raster.key}-{self.extractor.key}",
                limit_bytes=int(cache_gib * GIB / len(rasters)),
                memory_bytes=_MEMORY_BYTES // len(rasters),
                shape=_shape(raster),
                features=sum(self.extractor.counts),
            )
            for key, raster in rasters.items()
        }
        self._lock, self._wake = threading.Lock(), threading.Event()
        self._is_stopping, self._may_read = threading.Event(), threading.Event()
        self._may_read.set()
        self._view, self._wanted = _View(), dict[str, list[Place]]()
        self._faults = dict[str, str]()

    def run(self) -> None:
        """Read cells until :meth:`stop` is called."""
        while not self._is_stopping.is_set():
            self._may_read.wait(timeout=1)
            if not self.read_next():
                self._wake.wait(timeout=1)
                self._wake.clear()

    def read_next(self) -> bool:
        """Read the cell that is wanted most; return whether there was one."""
        found = self._next()
        if found is not None:
            self._read(*found)
        return found is not None

    def stop(self) -> None:
        """Stop after the cell that is being read."""
        self._is_stopping.set()
        self._wake.set()
        self._may_read.set()

    def pause(self) -> None:
        """Read no further cell, so that an update has the processor."""
        self._may_read.clear()

    def resume(self) -> None:
        """Read on."""
        self._may_read.set()

    def set_view(self, raster_id: str, window: Window) -> FeatureProgress:
        """Read the cells of a view first, from its middle outwards."""
        cells = tuple(_from_middle(_cells_of(window)))
        with self._lock:
            self._view = _View(raster_id, cells, len(cells) <= _MOST_FULL_VIEW)
        self._wake.set()
        return self.progress(raster_id)

    def want(self, places: Mapping[str, Iterable[Place]]) -> None:
        """Read the cells of points after those of the view, by raster id."""
        with self._lock:
            self._wanted = {key: list(cells) for key, cells in places.items()}
        self._wake.set()

    def wanted(self, raster_id: str) -> list[Place]:
        """Return the cells of points that are wanted."""
        with self._lock:
            return list(self._wanted.get(raster_id, ()))

    def read_cell(self, raster_id: str, place: Place) -> None:
        """Read one cell now."""
        self._read(raster_id, place, keep_full=True)

    def progress(self, raster_id: str) -> FeatureProgress:
        """Return how many cells of a raster and of the view are done."""
        rows, cols = _shape(self._rasters[raster_id])
        store, view = self.stores[raster_id], self._view
        own = view.cells if view.raster == raster_id else ()
        is_done = store.has_full if view.is_full else store.has
        return FeatureProgress(
            store.count, rows * cols, sum(map(is_done, own)), len(own), self._faults.get(raster_id)
        )

    def is_done(self, raster_id: str) -> bool:
        """Return whether all cells of a raster are read."""
        found = self.progress(raster_id)
        return found.done >= found.total

    def _next(self) -> tuple[str, Place, bool] | None:
        """Return the next cell to read, and whether to keep its features at full resolution."""
        with self._lock:
            view, wanted = self._view, dict(self._wanted)
        if view.raster and view.raster not in self._faults:
            store = self.stores[view.raster]
            is_done = store.has_full if view.is_full else store.has
            place = next((one for one in view.cells if not is_done(one)), None)
            if place is not None:
                return view.raster, place, view.is_full or not store.is_full
        for key, places in wanted.items():
            place = next((one for one in places if not self.stores[key].has_full(one)), None)
            if place is not None and key not in self._faults and not self.stores[key].is_full:
                return key, place, True
        for key in [*([view.raster] if view.raster else []), *self._rasters]:
            store = self.stores[key]
            place = next(self._missing(key, view), None)
            if place is not None and key not in self._faults:
                return key, place, not store.is_full
        return None

    def _missing(self, key: str, view: _View) -> Iterator[Place]:
        """Yield the cells of a raster that are not read, those near the view first."""
        rows, cols = _shape(self._rasters[key])
        store = self.stores[key]
        if store.count >= rows * cols:
            return
        middle = np.mean(view.cells, axis=0) if view.raster == key and view.cells else np.zeros(2)
        missing = [(r, c) for r in range(rows) for c in range(cols) if not store.has((r, c))]
        yield from sorted(missing, key=lambda one: (one[0] - middle[0]) ** 2 + (one[1] - middle[1]) ** 2)

    def _read(self, key: str, place: Place, keep_full: bool) -> None:
        try:
            with self._rasters[key].pool.handle(self.bands) as source:
                cell = self.extractor.compute(source, *place)
            self.stores[key].put(place, cell, keep_full=keep_full)
        except (GeoSegError, OSError) as error:
            LOG.error("features of %s cannot be read: %s", self._rasters[key].name, error)
            self._faults[key] = f"Features cannot be read: {error}"


def _cells_of(window: Window) -> Iterator[Place]:
    if not window.height or not window.width:
        return
    for row in range(window.row // CELL_PX, (window.row + window.height - 1) // CELL_PX + 1):
        for col in range(window.col // CELL_PX, (window.col + window.width - 1) // CELL_PX + 1):
            yield row, col


def _from_middle(cells: Iterable[Place]) -> list[Place]:
    known = list(cells)
    if not known:
        return []
    middle = np.mean(known, axis=0)
    return sorted(known, key=lambda one: (one[0] - middle[0]) ** 2 + (one[1] - middle[1]) ** 2)


def cells_of(window: Window) -> list[Place]:
    """Return the cells that a window touches."""
    return list(_cells_of(window))


def _shape(raster: PageRaster) -> tuple[int, int]:
    return -(-raster.info.height // CELL_PX), -(-raster.info.width // CELL_PX)


def _normalisation(rasters: Mapping[str, PageRaster], bands: tuple[int, ...], folder: Path) -> Normalisation:
    """Return the statistics of the bands, measured once for a project.

    They stay when a raster joins, so that features keep their meaning.
    """
    path = folder / "normalisation.json"
    if path.is_file():
        record = json.loads(path.read_text(encoding="utf-8"))
        if record.get("bands") == list(bands):
            return Normalisation(tuple(record["mean"]), tuple(record["deviation"]))
    windows = [
        (key, window)
        for key, raster in rasters.items()
        for window in grid(raster.info.height, raster.info.width, _WINDOW_PX)
    ]
    chosen = stratified_choice([key for key, _ in windows], _WINDOWS)
    samples = (rasters[key].pool.read(window, bands) for key, window in (windows[k] for k in chosen))
    try:
        found = measure_normalisation(samples)
    except ValueError as error:
        raise RasterError(
            "no pixel is valid in a sample of the rasters",
            where=", ".join(raster.path.name for raster in rasters.values()),
            expected="images that are not all nodata",
        ) from error
    record = {name: list(value) for name, value in asdict(found).items()}
    write_json(path, {"bands": list(bands), "mean": record["mean"], "deviation": record["deviation"]})
    return found
