"""List the layers of a vector file, and choose the one with the points."""

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
from geoseg.geodata.points.tables.class_columns import has_class_column
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
        name: Name of the layer.
        kind: Geometry type; None for a table without geometries.
        fields: Column names.
        features: Number of rows.
        encoding: Text encoding, if the file does not declare it.
        notes: Assumptions.
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
    """Yield a file or folder that GDAL reads: the path itself, or a folder with the content of an archive.

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
    """Return the vector files of a folder and its sub-folders. For a file or file geodatabase, return the path itself.

    Raises:
        PointsError: The path does not exist, or the folder has no vector file.
    """
    if not path.exists():
        raise PointsError("no such file", where=path, hint="Check the path.")
    if path.is_file() or path.suffix.lower() == ".gdb":
        return [path]
    found = sorted(p for p in path.rglob("*") if p.suffix.lower() in _FORMATS and "__MACOSX" not in p.parts)
    files = [p for p in found if not any(parent.suffix.lower() == ".gdb" for parent in p.parents)]
    files = files or sorted(path.rglob("*.csv"))[:1]
    if files:
        return files
    raise PointsError(
        "the folder has no point file",
        where=path,
        expected=f"a file of the formats {', '.join(_FORMATS)}, .csv",
        got=", ".join(sorted(p.name for p in path.iterdir())[:8]) or "an empty folder",
    )


def list_layers(file: Path, stack: ExitStack) -> list[Layer]:
    """Return the layers of a vector file, which are readable until ``stack`` is closed.

    Raises:
        PointsError: GDAL cannot read the file, or a Shapefile is incomplete.
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
    """Return the error for a file that GDAL cannot read."""
    if file.suffix.lower() in {".parquet", ".geoparquet"}:
        return PointsError(
            "GeoParquet is not supported",
            where=file,
            hint="Save the points as GeoPackage, for example with QGIS.",
        )
    said = str(error).partition("; It might help")[0].replace(str(file), file.name).rstrip(".")
    return PointsError(
        "the point file cannot be read",
        where=file,
        expected=f"an undamaged file of the formats {', '.join(_FORMATS)}, .csv",
        got=said,
    )


def choose_layer(
    layers: Sequence[Layer], *, wanted: str | None, class_column: str | None, where: Path
) -> tuple[Layer, str | None, bool]:
    """Return the layer with the points, a sentence on the choice if there were several, and whether it is ambiguous.

    Layers with a class column come first, then points before lines and polygons, then the layer called "points", then
    the file order. Layers without rows come last. Tables without geometries are used only if there is no other layer.

    Raises:
        PointsError: The wanted layer does not exist, or the file has no layer.
    """
    if wanted is not None:
        named = [layer for layer in layers if layer.name.lower() == wanted.lower()]
        if named:
            return named[0], None, False
        names = ", ".join(layer.name for layer in layers)
        raise PointsError(f"the file has no layer {wanted!r}", where=where, expected=f"one of {names}")
    spatial = [layer for layer in layers if layer.kind is not None] or list(layers)
    if not spatial:
        raise PointsError("the file has no layer of points", where=where, got="no layer")
    best = min(spatial, key=lambda layer: _rank(layer, class_column))
    full = [layer for layer in spatial if layer.features]
    if len(full) < 2:
        return best, None, False
    others = ", ".join(f"{layer.name!r} ({layer.features} rows)" for layer in full if layer is not best)
    is_doubtful = sum(_rank(layer, class_column) == _rank(best, class_column) for layer in full) > 1
    note = (
        f"{where.name}: layer {best.name!r} ({best.features} rows) is used, not {others}. "
        "Choose another layer with --layer."
    )
    return best, note, is_doubtful


def _rank(layer: Layer, class_column: str | None) -> tuple[bool, bool, bool, bool]:
    has_classes = has_class_column(layer.fields, class_column)
    return not layer.features, not has_classes, not layer.has_points, layer.name != "points"


def _describe(file: Path, name: str, kind: str | None) -> Layer:
    info = pyogrio.read_info(file, layer=name, force_feature_count=True)
    return Layer(file, name, kind, tuple(map(str, info["fields"])), int(info["features"]))
