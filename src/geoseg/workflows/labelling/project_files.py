"""The folder of a labelling project: create it, open it, and keep its description."""

from __future__ import annotations

import getpass
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError, RasterError, SettingsError
from geoseg.geodata.outputs.atomic_files import write_json
from geoseg.geodata.points.point_places import shared_crs
from geoseg.geodata.projects.schema import create_points_file, is_points_file
from geoseg.geodata.reading.grids import RasterInfo, same_crs
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.workflows.library_errors import translate_library_errors

PROJECT_FILE, POINTS_FILE = "project.json", "points.gpkg"
FOLDERS = ("models", "maps", "features")
_FORMAT = 1


@dataclass(frozen=True)
class ProjectRaster:
    """A raster of a project.

    Attributes:
        id: Its name in addresses, "r1" for the first.
        path: The file.
        display: Bands and stretch that the page shows; empty for the default.
    """

    id: str
    path: Path
    display: dict[str, Any]

    @property
    def name(self) -> str:
        """Name of the raster in the points file."""
        return self.path.stem


@dataclass(frozen=True)
class ProjectFiles:
    """The description of a project, and its folder.

    Attributes:
        folder: The folder.
        name: Title of the project.
        annotator: Name that new points carry.
        rasters: The rasters.
        created: Time of creation, ISO 8601.
    """

    folder: Path
    name: str
    annotator: str
    rasters: tuple[ProjectRaster, ...]
    created: str

    @property
    def points(self) -> Path:
        """The points file."""
        return self.folder / POINTS_FILE

    def save(self) -> None:
        """Write the description atomically.

        Raises:
            OutputError: The file cannot be written.
        """
        record = {
            "format": _FORMAT,
            "name": self.name,
            "annotator": self.annotator,
            "created": self.created,
            "rasters": [
                {"id": one.id, "path": _stored_path(one.path, self.folder), "display": one.display}
                for one in self.rasters
            ],
        }
        write_json(self.folder / PROJECT_FILE, record)


@translate_library_errors
def create_project(folder: Path, rasters: Sequence[Path], *, name: str | None = None) -> ProjectFiles:
    """Create the folder of a project.

    Raises:
        OutputError: The folder holds files, or cannot be created.
        RasterError: A raster cannot be read, or the rasters do not fit in one project.
    """
    folder = folder.resolve()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(
            "this folder is not empty",
            where=folder,
            expected="a new folder for the project",
            hint="Choose another folder, or open the project that it holds: geoseg project open FOLDER",
        )
    infos = _checked_rasters(rasters)
    try:
        for part in FOLDERS:
            (folder / part).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError("cannot create this folder", where=folder, got=error.strerror or error) from error
    create_points_file(folder / POINTS_FILE, next(iter(infos.values())).crs)
    described = tuple(ProjectRaster(f"r{n}", path, {}) for n, path in enumerate(infos, 1))
    created = datetime.now(UTC).isoformat(timespec="seconds")
    project = ProjectFiles(folder, name or folder.name, _user(), described, created)
    project.save()
    return project


@translate_library_errors
def open_project(folder: Path, rasters: Sequence[Path] = ()) -> ProjectFiles:
    """Open a project, and add rasters to it.

    Raises:
        SettingsError: The folder holds no project.
        RasterError: A raster cannot be read, or does not fit in the project.
    """
    folder = folder.resolve()
    project = _read(folder)
    known = {one.path.resolve() for one in project.rasters}
    new = [path for path in rasters if path.resolve() not in known]
    _checked_rasters([*(one.path for one in project.rasters), *new])
    if new:
        number = 1 + max(int(one.id[1:]) for one in project.rasters)
        added = (ProjectRaster(f"r{number + n}", path.resolve(), {}) for n, path in enumerate(new))
        project = replace(project, rasters=(*project.rasters, *added))
        project.save()
    return project


def is_project(folder: Path) -> bool:
    """Return whether a folder holds a project."""
    return (folder / PROJECT_FILE).is_file()


def default_folder(raster: Path) -> Path:
    """Return the folder of a project beside a raster."""
    return raster.with_name(f"{raster.stem}.project")


def reread(project: ProjectFiles) -> ProjectFiles:
    """Read the description of a project again, which another program may have changed."""
    return _read(project.folder)


def _read(folder: Path) -> ProjectFiles:
    path = folder / PROJECT_FILE
    hint = "Create a project: geoseg project new FOLDER RASTER"
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        rasters = tuple(
            ProjectRaster(str(one["id"]), (folder / one["path"]).resolve(), dict(one.get("display") or {}))
            for one in record["rasters"]
        )
        project = ProjectFiles(folder, record["name"], record["annotator"], rasters, record["created"])
    except OSError as error:
        raise SettingsError(
            "this folder holds no project", where=folder, expected=f"a file {PROJECT_FILE}", hint=hint
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise SettingsError(
            "the description of the project is damaged",
            where=path,
            expected="a JSON object that names the project and its rasters",
            hint=f"Restore the file from a copy, or create a project in a new folder and import the points of {folder / POINTS_FILE}.",
        ) from error
    if record.get("format") != _FORMAT or not rasters:
        raise SettingsError(
            "the project has another format", where=path, expected=_FORMAT, got=record.get("format")
        )
    if not is_points_file(project.points):
        raise SettingsError("the points file of the project is missing or damaged", where=project.points)
    return project


def _checked_rasters(rasters: Sequence[Path]) -> dict[Path, RasterInfo]:
    """Return descriptions of rasters that fit in one project.

    Raises:
        RasterError: There is none, one cannot be read, two have the same name, or their CRS differ.
    """
    if not rasters:
        raise RasterError("a project needs a raster", hint="Name at least one raster.")
    infos = {path.resolve(): describe_raster(path) for path in rasters}
    stems = [path.stem for path in infos]
    repeated = sorted({stem for stem in stems if stems.count(stem) > 1})
    if repeated:
        raise RasterError(
            "two rasters of a project have the same name",
            got=", ".join(repeated),
            hint="Rename one of them: points name their raster.",
        )
    shared_crs({path.stem: info for path, info in infos.items()})
    first = next(iter(infos.values()))
    for info in infos.values():
        if info.crs is not None and not same_crs(info.crs, first):
            raise RasterError(
                "the rasters of a project need one CRS",
                where=info.path,
                expected=f"the CRS of {first.path.name}",
                hint="Warp it with gdalwarp -t_srs, or make a project of its own.",
            )
    return infos


def _stored_path(path: Path, folder: Path) -> str:
    """Return a path relative to the folder where it stays valid when both are moved, else an absolute one."""
    parent = folder.parent
    return os.path.relpath(path, folder) if path.is_relative_to(parent) else str(path)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no such user, as in some containers
        return "annotator"
