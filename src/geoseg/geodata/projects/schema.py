"""The GeoPackage of a labelling project: tables, and triggers that number every change by any program."""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import pyogrio

from geoseg.errors import PointsError
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.projects.geometry_blobs import add_geometry_functions

LAYER = "points"
_BUSY_S = 10.0
_FORMAT = 1
_UUID = (
    "lower(hex(randomblob(4)) || '-' || hex(randomblob(2)) || '-4' || substr(hex(randomblob(2)), 2) || '-8' || "
    "substr(hex(randomblob(2)), 2) || '-' || hex(randomblob(6)))"
)
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"
_NEXT = "UPDATE geoseg_state SET revision = revision + 1"
_REVISION = "(SELECT revision FROM geoseg_state)"
_WEIGHT = "CASE WHEN coalesce(NEW.unsure, 0) THEN 0 ELSE 1 END"
_COLUMNS = ("geom", "class", "unsure", "source", "role", "annotator", "image")

_LEGEND_TRIGGERS = "\n".join(
    f"CREATE TRIGGER geoseg_classes_{event.lower()} AFTER {event} ON classes BEGIN DELETE FROM legend; INSERT INTO legend "
    "(id, name, color) SELECT row_number() OVER (ORDER BY id) - 1, name, color FROM classes; END;"
    for event in ("INSERT", "UPDATE", "DELETE")
)
"""The layer legend has ids that count from 0, as every legend of a point file."""

# The weight of an unsure answer is 0, so that geoseg train leaves it out. Only functions that every SQLite has are used,
# because QGIS runs these triggers too.
_SCHEMA = f"""
ALTER TABLE points ADD COLUMN unsure BOOLEAN DEFAULT 0;
ALTER TABLE points ADD COLUMN source TEXT;
ALTER TABLE points ADD COLUMN role TEXT DEFAULT 'train';
ALTER TABLE points ADD COLUMN annotator TEXT;
ALTER TABLE points ADD COLUMN date DATETIME;
ALTER TABLE points ADD COLUMN image TEXT;
ALTER TABLE points ADD COLUMN weight REAL DEFAULT 1;
ALTER TABLE points ADD COLUMN uuid TEXT;
ALTER TABLE points ADD COLUMN revision INTEGER;
CREATE INDEX geoseg_points_uuid ON points (uuid);
CREATE INDEX geoseg_points_revision ON points (revision);
CREATE TABLE classes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, color TEXT NOT NULL, key TEXT,
  revision INTEGER NOT NULL);
CREATE TABLE legend (fid INTEGER PRIMARY KEY, id INTEGER, name TEXT, color TEXT);
INSERT INTO gpkg_contents (table_name, data_type, identifier, description, last_change, srs_id)
  VALUES ('legend', 'attributes', 'legend', 'classes of the points', {_NOW}, 0);
{_LEGEND_TRIGGERS}
CREATE TABLE geoseg_deleted (uuid TEXT PRIMARY KEY, revision INTEGER NOT NULL);
CREATE TABLE geoseg_changes (
  id INTEGER PRIMARY KEY AUTOINCREMENT, annotator TEXT NOT NULL, date TEXT NOT NULL, state TEXT NOT NULL,
  label TEXT NOT NULL, items TEXT NOT NULL);
CREATE TABLE geoseg_state (revision INTEGER NOT NULL, classes_revision INTEGER NOT NULL, format INTEGER NOT NULL);
INSERT INTO geoseg_state VALUES (0, 0, {_FORMAT});
CREATE TRIGGER geoseg_points_inserted AFTER INSERT ON points
WHEN NEW.revision IS NULL OR (SELECT count(*) FROM points WHERE uuid = NEW.uuid) > 1 BEGIN
  {_NEXT};
  UPDATE points SET revision = {_REVISION},
    uuid = CASE WHEN NEW.uuid IS NULL OR (SELECT count(*) FROM points WHERE uuid = NEW.uuid) > 1
      THEN {_UUID} ELSE NEW.uuid END,
    unsure = coalesce(unsure, 0), source = coalesce(source, 'qgis'), role = coalesce(role, 'train'),
    annotator = coalesce(annotator, 'QGIS'), date = coalesce(date, {_NOW}), weight = {_WEIGHT}
  WHERE fid = NEW.fid;
END;
CREATE TRIGGER geoseg_points_updated AFTER UPDATE ON points
WHEN NEW.revision IS OLD.revision AND ({" OR ".join(f"NEW.{c} IS NOT OLD.{c}" for c in _COLUMNS)}) BEGIN
  {_NEXT};
  UPDATE points SET revision = {_REVISION}, weight = {_WEIGHT} WHERE fid = NEW.fid;
END;
CREATE TRIGGER geoseg_points_deleted AFTER DELETE ON points WHEN OLD.uuid IS NOT NULL BEGIN
  {_NEXT};
  INSERT OR REPLACE INTO geoseg_deleted VALUES (OLD.uuid, {_REVISION});
END;
"""


def create_points_file(path: Path, crs: str | None) -> None:
    """Create the GeoPackage of a project, without points and classes.

    Args:
        path: The file, which must not exist.
        crs: CRS of the geometries as WKT; None for rasters without a CRS.

    Raises:
        OutputError: The file exists or cannot be written.
    """
    empty = gpd.GeoDataFrame({"class": []}, geometry=gpd.GeoSeries([]), crs=crs)
    with whole_file(path, overwrite=False) as partial:
        with warnings.catch_warnings():
            # Points on images without a georeference have no CRS by design.
            warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
            pyogrio.write_dataframe(
                empty.astype({"class": object}),
                partial,
                layer=LAYER,
                driver="GPKG",
                geometry_type="Unknown",
                layer_options={"SPATIAL_INDEX": "NO", "GEOMETRY_NAME": "geom", "FID": "fid"},
            )
        connection = sqlite3.connect(partial)
        try:
            connection.executescript(_SCHEMA)
        finally:
            connection.close()


def is_points_file(path: Path) -> bool:
    """Return whether a file is the GeoPackage of a project."""
    try:
        with connected(path) as connection:
            return bool(connection.execute("SELECT format FROM geoseg_state").fetchone())
    except (sqlite3.Error, PointsError):
        return False


@contextmanager
def connected(path: Path) -> Iterator[sqlite3.Connection]:
    """Yield a connection in autocommit mode, and close it.

    Commits reach the disk before they return. Readers such as QGIS do not block the writer (write-ahead log).

    Raises:
        PointsError: The file does not exist or is no database.
    """
    if not path.is_file():
        raise PointsError(
            "no such file", where=path, hint="Create the project with: geoseg project new FOLDER"
        )
    connection = sqlite3.connect(path, timeout=_BUSY_S, isolation_level=None)
    try:
        connection.row_factory = sqlite3.Row
        add_geometry_functions(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        yield connection
    except sqlite3.DatabaseError as error:
        raise _database_error(path, error) from error
    finally:
        connection.close()


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run a block as one write transaction: all of it reaches the disk, or nothing."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def next_revision(connection: sqlite3.Connection) -> int:
    """Count the revision of the project up, inside a transaction, and return it."""
    connection.execute(_NEXT)
    return current_revision(connection)


def current_revision(connection: sqlite3.Connection) -> int:
    """Return the revision of the project."""
    return int(connection.execute("SELECT revision FROM geoseg_state").fetchone()[0])


def _database_error(path: Path, error: sqlite3.DatabaseError) -> PointsError:
    text = str(error)
    if "locked" in text or "busy" in text:
        return PointsError(
            "another program keeps this file locked",
            where=path,
            got=f"no access within {_BUSY_S:g} s",
            hint="Save the edits in QGIS, or close the other program, and try again.",
        )
    if "readonly" in text:
        return PointsError(
            "this file cannot be written to", where=path, hint="Check the permissions of the folder."
        )
    if isinstance(error, sqlite3.OperationalError) and "no such table" not in text:
        return PointsError("the file cannot be used", where=path, got=text)
    return PointsError(
        "this is not the points file of a labelling project",
        where=path,
        got=text,
        hint="Restore it from a copy, or create a new project and import the points.",
    )
