"""A labelling session: an open project with its background work, for one page."""

from __future__ import annotations

import threading
from typing import Any

from geoseg.domain.ports import NullProgress, Progress
from geoseg.errors import RasterError
from geoseg.geodata.projects.changes import ConflictError as ConflictError
from geoseg.geodata.projects.changes import NothingToUndoError as NothingToUndoError
from geoseg.geodata.projects.classes import ClassConflictError as ClassConflictError
from geoseg.settings.labelling import LabelSettings
from geoseg.workflows.labelling.project import LabelProject
from geoseg.workflows.labelling.project_files import create_project, default_folder, is_project, open_project


class LabelSession:
    """An open project and its background work.

    Args:
        project: The project.
    """

    def __init__(self, project: LabelProject) -> None:
        self.project = project
        self._is_stopping = threading.Event()
        self._threads = [threading.Thread(target=self._build_previews, name="geoseg previews", daemon=True)]

    def start(self) -> None:
        """Start the background work."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Stop the background work and close the files."""
        self._is_stopping.set()
        for thread in self._threads:
            if thread.is_alive():
                thread.join(timeout=10)
        self.project.close()

    def describe(self) -> dict[str, Any]:
        """Return the description of the project for the page."""
        return {**self.project.describe(), "model": None}

    def pixel(self, raster_id: str, x: float, y: float) -> dict[str, Any] | None:
        """Return the values and the class of the pixel under a place; None outside the raster."""
        raster = self.project.raster(raster_id)
        place = raster.frame.to_rowcol(x, y)
        row, col = int(place[0] // 1), int(place[1] // 1)
        bands = raster.pixel(row, col)
        if bands is None:
            return None
        return {
            "row": row,
            "col": col,
            "bands": bands,
            "class_id": None,
            "confidence": None,
            "probabilities": [],
        }

    def _build_previews(self) -> None:
        for raster in self.project.rasters.values():
            raster.build_preview(self._is_stopping.is_set)


def open_session(settings: LabelSettings, progress: Progress | None = None) -> LabelSession:
    """Open the project of the settings, or create it.

    Args:
        settings: Rasters and folder.
        progress: Says where a new project is.

    Raises:
        RasterError: No raster is given for a new project, or one cannot be read.
        SettingsError: The folder holds no project.
    """
    progress = progress or NullProgress()
    folder = settings.project
    if folder is None:
        if not settings.rasters:
            raise RasterError("no raster is given", hint="Run: geoseg label RASTER, or --project FOLDER.")
        folder = default_folder(settings.rasters[0])
        progress.say(f"Project: {folder}")
    if is_project(folder) or (folder.exists() and not settings.rasters):
        files = open_project(folder, settings.rasters)
    else:
        files = create_project(folder, settings.rasters)
    return LabelSession(LabelProject(files))
