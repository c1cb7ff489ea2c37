"""Describe a project on disk, without opening its rasters."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.geodata.projects.classes import read_classes
from geoseg.geodata.projects.schema import connected, current_revision
from geoseg.workflows.labelling.project_files import open_project


def describe_project(folder: Path) -> dict[str, Any]:
    """Return name, rasters, classes with their points, and models of a project.

    Raises:
        SettingsError: The folder holds no project.
        RasterError: A raster is missing or cannot be read.
    """
    files = open_project(folder)
    with connected(files.points) as connection:
        classes, revision = read_classes(connection), current_revision(connection)
        unsure = connection.execute("SELECT count(*) FROM points WHERE unsure").fetchone()[0]
    return {
        "name": files.name,
        "folder": str(files.folder),
        "revision": revision,
        "annotator": files.annotator,
        "rasters": [{"id": one.id, "path": str(one.path)} for one in files.rasters],
        "classes": [vars(one) for one in classes],
        "unsure": unsure,
        "models": [str(path) for path in sorted((files.folder / "models").glob("*.geoseg"))],
        "maps": [str(path) for path in sorted((files.folder / "maps").glob("*.tif"))],
    }
