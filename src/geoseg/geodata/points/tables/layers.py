"""The layers of a vector file, and which of them holds the points."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pyogrio
from pyogrio.errors import DataLayerError, DataSourceError

from geoseg.errors import GeoSegError, PointsError
from geoseg.geodata.points.tables.class_columns import could_name_classes
from geoseg.geodata.points.tables.shapefiles import complete_shapefile

_FORMATS = (
    ".gpkg",
    ".shp",
    ".geojson",
    ".json",
    ".fgb",
    ".kml",
    ".kmz",
    ".gml",
    ".gpx",
    ".tab",
    ".mif",
    ".gdb",
)
_SHAPEFILE_PARTS = (".shp", ".shx", ".dbf")
_ARCHIVES = (".zip", ".shz")
_FAULTS = (DataSourceError, DataLayerError)


@dataclass(frozen=True)
class Layer:
    """One layer of a file.

    Attributes:
        file: The file or folder that GDAL opens.
        name: The layer's name.
        kind: Type of its geometries; None for a table without any.
        fields: Names of its columns.
        features: Number of its rows.
        encoding: Encoding of its texts, where the file does not say it itself.
        notes: What was assumed.
    """

    file: Path
    name: str
    kind: str | None
    fields: tuple[str, ...]
    features: int
    encoding: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def has_points(self) -> bool:
        """Whether all geometries are points."""
        return self.kind is not None and "Point" in self.kind


@contextmanager
def unpacked(path: Path) -> Iterator[Path]:
    """Yield a file or folder that GDAL reads: the path itself, or a folder with what an archive holds.

    Raises:
        PointsError: The archive is damaged.
    """
    if path.suffix.lower() not in _ARCHIVES:
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(path) as archive:
                archive.extractall(folder)
        except (zipfile.BadZipFile, OSError, RuntimeError) as error:
            raise PointsError("the archive cannot be read", where=path, got=error) from error
        try:
            yield Path(folder)
        except GeoSegError as error:
            error.where = str(error.where).replace(folder, str(path))
            raise


def find_files(path: Path) -> list[Path]:
    """Return the vector files of a folder and its folders; a file, and a file geodatabase, is one itself.

    Raises:
        PointsError: There is no such file, or the folder holds none.
    """
    if not path.exists():
        raise PointsError("no such file", where=path)
    if path.is_file() or path.suffix.lower() == ".gdb":
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _FORMATS and "__MACOSX" not in p.parts)
    files = [p for p in found if not any(parent.suffix.lower() == ".gdb" for parent in p.parents)]
    files = files or sorted(path.rglob("*.csv"))[:1]
    if files:
        return files
    raise PointsError(
        "the folder holds no file of points",
        where=path,
        expected=f"a file of the kinds {', '.join(_FORMATS)}, .csv",
        got=", ".join(sorted(p.name for p in path.iterdir())[:8]) or "an empty folder",
    )


def list_layers(file: Path, stack: ExitStack) -> list[Layer]:
    """Return the layers of a vector file; they can be read until ``stack`` is closed.

    Raises:
        PointsError: GDAL cannot read the file, or a Shapefile lacks a file.
    """
    encoding: str | None = None
    notes: tuple[str, ...] = ()
    if file.is_file() and file.with_suffix(".shp").exists() and file.suffix.lower() in _SHAPEFILE_PARTS:
        shapefile = stack.enter_context(complete_shapefile(file))
        file, encoding, notes = shapefile.path, shapefile.encoding, shapefile.notes
    try:
        kinds = {str(name): kind for name, kind in pyogrio.list_layers(file)}
        layers = [_describe(file, name, kind) for name, kind in kinds.items()]
    except _FAULTS as error:
        raise unreadable(file, error) from error
    return [replace(layer, encoding=encoding, notes=notes) for layer in layers]


def unreadable(file: Path, error: Exception) -> PointsError:
    """Return the error of a file that GDAL cannot read."""
    if file.suffix.lower() in {".parquet", ".geoparquet"}:
        return PointsError(
            "GeoParquet is not read", where=file, hint="Save the points as GeoPackage, in QGIS for one."
        )
    said = str(error).partition("; It might help")[0].replace(str(file), file.name).rstrip(".")
    return PointsError(
        "the point file cannot be read",
        where=file,
        expected=f"a file of the kinds {', '.join(_FORMATS)}, .csv, and an undamaged one",
        got=said,
    )


def choose_layer(
    layers: Sequence[Layer], *, wanted: str | None, class_column: str | None, where: Path
) -> tuple[Layer, str | None, bool]:
    """Return the layer that holds the points, a sentence on the choice if there was one, and whether it is in doubt.

    A layer with a class column comes before one without, then points before lines and polygons, then
    the layer called "points", then the first. Layers without rows come last, tables without geometries
    count only where nothing else is.

    Raises:
        PointsError: No layer is called as wanted, or none has positions.
    """
    if wanted is not None:
        named = [layer for layer in layers if layer.name.lower() == wanted.lower()]
        if named:
            return named[0], None, False
        names = ", ".join(layer.name for layer in layers)
        raise PointsError(f"the file has no layer {wanted!r}", where=where, expected=f"one of {names}")
    spatial = [layer for layer in layers if layer.kind is not None] or list(layers)
    if not spatial:
        raise PointsError("the file has no layer of points", where=where, got="no layer at all")
    best = min(spatial, key=lambda layer: _rank(layer, class_column))
    full = [layer for layer in spatial if layer.features]
    if len(full) < 2:
        return best, None, False
    others = ", ".join(f"{layer.name!r} ({layer.features} rows)" for layer in full if layer is not best)
    is_doubtful = sum(_rank(layer, class_column) == _rank(best, class_column) for layer in full) > 1
    said = (
        f"{where.name}: layer {best.name!r} ({best.features} rows) is read, not {others}. "
        "Another layer is chosen with --layer."
    )
    return best, said, is_doubtful


def _rank(layer: Layer, class_column: str | None) -> tuple[bool, bool, bool, bool]:
    has_classes = could_name_classes(layer.fields, class_column)
    return not layer.features, not has_classes, not layer.has_points, layer.name != "points"


def _describe(file: Path, name: str, kind: str | None) -> Layer:
    said = pyogrio.read_info(file, layer=name, force_feature_count=True)
    return Layer(file, name, kind, tuple(map(str, said["fields"])), int(said["features"]))
