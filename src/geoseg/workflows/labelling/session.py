"""A labelling session: an open project with its background work, for one page."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.pyramid import TILE_PX
from geoseg.domain.windows import Window
from geoseg.errors import RasterError, TrainingError
from geoseg.geodata.projects.changes import ConflictError as ConflictError
from geoseg.geodata.projects.changes import NothingToUndoError as NothingToUndoError
from geoseg.geodata.projects.classes import ClassConflictError as ClassConflictError
from geoseg.learning.live.cells import CELL_PX
from geoseg.pictures.map_tiles import class_tile, confidence_tile
from geoseg.settings.labelling import LabelSettings
from geoseg.workflows.labelling.features import FeatureReader
from geoseg.workflows.labelling.jobs import JobRunner
from geoseg.workflows.labelling.live_maps import LiveMaps, MapPart, class_shares, view_step
from geoseg.workflows.labelling.live_model import FittedModel, LiveModel
from geoseg.workflows.labelling.page_rasters import PageRaster
from geoseg.workflows.labelling.project import LabelProject
from geoseg.workflows.labelling.project_files import create_project, default_folder, is_project, open_project

_FIT_TRIES, _FIT_WAIT_S = 20, 0.1


class LabelSession:
    """An open project and its background work.

    Args:
        project: The project.
        cache_gib: Largest size of features on disk.
    """

    def __init__(self, project: LabelProject, cache_gib: float = 8.0) -> None:
        self.project = project
        self.reader = FeatureReader(project.rasters, project.files.folder / "features", cache_gib)
        self.model = LiveModel(project, self.reader)
        self.maps = LiveMaps(self.reader)
        self.jobs = JobRunner(project)
        self._is_stopping = threading.Event()
        self._accuracy: tuple[tuple[int, int], dict[str, Any] | None] | None = None
        self._update_lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._build_previews, name="geoseg previews", daemon=True),
            threading.Thread(target=self._read_features, name="geoseg features", daemon=True),
            threading.Thread(target=self.jobs.run, name="geoseg jobs", daemon=True),
        ]

    def start(self) -> None:
        """Start the background work."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the background work and close the files."""
        self._is_stopping.set()
        self.reader.stop()
        self.jobs.close()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        self.project.close()

    def describe(self) -> dict[str, Any]:
        """Return the description of the project for the page."""
        return {**self.project.describe(), "model": self._model_record()}

    def status(self) -> dict[str, Any]:
        """Return what changes while the page is open: revisions, model, features and accuracy."""
        revision, classes_revision = self.project.revisions()
        return {
            "revision": revision,
            "classes_revision": classes_revision,
            "model": self._model_record(),
            "features": {key: vars(self.reader.progress(key)) for key in self.project.rasters},
            "previews": {key: raster.has_preview for key, raster in self.project.rasters.items()},
            "jobs": self.jobs.records(),
            "accuracy": self._accuracy_at(revision),
        }

    def set_view(self, raster_id: str, extent: Sequence[float]) -> dict[str, Any]:
        """Read the features of a view first; return their progress."""
        raster = self.project.raster(raster_id)
        found = self.reader.set_view(raster_id, raster.window_of(extent))
        return {"features": {"done": found.view_done, "total": found.view_total}}

    def update(self, raster_id: str, extent: Sequence[float]) -> dict[str, Any]:
        """Refit the model on all training points, and map the view.

        Raises:
            TrainingError: There are too few points, or their features are not read yet.
        """
        raster = self.project.raster(raster_id)
        window = raster.window_of(extent)
        self.reader.set_view(raster_id, window)
        with self._update_lock:
            fitted = self._fit()
            self.reader.pause()
            try:
                self.maps.map_view(fitted, raster, window)
            finally:
                self.reader.resume()
        found = self.reader.progress(raster_id)
        return {"model": fitted.to_record(), "features": {"done": found.view_done, "total": found.view_total}}

    def prediction_tile(
        self, raster_id: str, level: int, *, col: int, row: int, is_confidence: bool
    ) -> tuple[bytes | None, int] | None:
        """Return a tile of the map and the revision of its model, no bytes where no feature is read; None outside the grid."""
        raster, model = self.project.raster(raster_id), self.model.fitted
        window = raster.tile_window(level, col, row)
        if window is None:
            return None
        if model is None:
            return None, 0
        part = self.maps.read(model, raster, window, step=window.height // TILE_PX)
        if not part.is_read.any():
            return None, model.revision
        if is_confidence:
            shown = part.confidence.astype(np.float32) / np.float32(254)
            return confidence_tile(shown, part.index != UNLABELLED), model.revision
        return class_tile(part.index, self._colors(model)), model.revision

    def areas(self, raster_id: str, extent: Sequence[float]) -> dict[str, Any]:
        """Return the area of each class in a view, in the part whose features are read."""
        raster, model = self.project.raster(raster_id), self.model.fitted
        if model is None:
            return {"model": None, "share_computed": 0.0, "classes": []}
        window = raster.window_of(extent)
        step = min(view_step(window), CELL_PX)
        whole = _whole_steps(window, step)
        part = self.maps.read(model, raster, whole, step=step)
        inside = _inside_raster(whole, step, raster)
        part = MapPart(part.index[inside], part.confidence[inside], part.is_read[inside])
        share, counts = class_shares(part, model.head.classes)
        total = sum(counts.values())
        pixel_m = raster.info.resolution_m
        return {
            "model": model.revision,
            "share_computed": round(share, 4),
            "classes": [
                {
                    "id": own,
                    "hectares": None if pixel_m is None else round(count * (step * pixel_m) ** 2 / 10_000, 4),
                    "share": round(count / total, 4) if total else 0.0,
                }
                for own, count in counts.items()
            ],
        }

    def pixel(self, raster_id: str, x: float, y: float) -> dict[str, Any] | None:
        """Return the values and the class of the pixel under a place; None outside the raster."""
        raster, model = self.project.raster(raster_id), self.model.fitted
        place = raster.frame.to_rowcol(x, y)
        row, col = int(place[0] // 1), int(place[1] // 1)
        bands = raster.pixel(row, col)
        if bands is None:
            return None
        found = (
            None if model is None else self.maps.probabilities_at(model, raster, row=row + 0.5, col=col + 0.5)
        )
        classes = () if model is None or found is None else model.head.classes
        shares = [] if found is None else found.tolist()
        best = int(np.argmax(shares)) if shares else None
        return {
            "row": row,
            "col": col,
            "bands": bands,
            "class_id": None if best is None else classes[best],
            "confidence": None if best is None else round(shares[best], 4),
            "probabilities": [
                {"id": own, "probability": round(share, 4)}
                for own, share in zip(classes, shares, strict=True)
            ],
        }

    def _fit(self) -> FittedModel:
        """Fit, once more after a short wait if the features of the first points are being read."""
        self.model.want_cells()
        for _ in range(_FIT_TRIES):
            try:
                return self.model.update()
            except TrainingError as error:
                if "being read" not in str(error.got):
                    raise
                self._is_stopping.wait(_FIT_WAIT_S)
        return self.model.update()

    def _colors(self, model: FittedModel) -> NDArray[np.uint8]:
        colors = {one.id: one.color for one in self.project.classes()}
        return np.array(
            [
                [int(colors.get(own, "#808080")[k : k + 2], 16) for k in (1, 3, 5)]
                for own in model.head.classes
            ],
            np.uint8,
        )

    def _model_record(self) -> dict[str, Any] | None:
        return None if self.model.fitted is None else self.model.fitted.to_record()

    def _accuracy_at(self, revision: int) -> dict[str, Any] | None:
        """Return the accuracy, measured again only if the points or the model have changed."""
        fitted = self.model.fitted
        key = revision, 0 if fitted is None else fitted.revision
        if self._accuracy is None or self._accuracy[0] != key:
            self._accuracy = key, self.model.accuracy()
        return self._accuracy[1]

    def _read_features(self) -> None:
        self.model.want_cells()
        self.reader.run()

    def _build_previews(self) -> None:
        for raster in self.project.rasters.values():
            raster.build_preview(self._is_stopping.is_set)


def _whole_steps(window: Window, step: int) -> Window:
    """Return the smallest window of whole steps around a window."""
    row, col = window.row // step * step, window.col // step * step
    bottom, right = (
        -(-end // step) * step for end in (window.row + window.height, window.col + window.width)
    )
    return Window(row, col, bottom - row, right - col)


def _inside_raster(window: Window, step: int, raster: PageRaster) -> tuple[slice, slice]:
    """Return the part of a map of a window that lies on the raster."""
    rows, cols = (raster.info.height - window.row) // step, (raster.info.width - window.col) // step
    return slice(0, max(1, rows)), slice(0, max(1, cols))


def open_session(settings: LabelSettings) -> LabelSession:
    """Open the project of the settings, or create it.

    Args:
        settings: Rasters and folder.

    Raises:
        RasterError: No raster is given for a new project, or one cannot be read.
        SettingsError: The folder holds no project.
    """
    folder = settings.project
    if folder is None:
        if not settings.rasters:
            raise RasterError("no raster is given", hint="Run: geoseg label RASTER, or --project FOLDER.")
        folder = default_folder(settings.rasters[0])
    if is_project(folder) or (folder.exists() and not settings.rasters):
        files = open_project(folder, settings.rasters)
    else:
        files = create_project(folder, settings.rasters)
    return LabelSession(LabelProject(files), settings.cache_gib)
