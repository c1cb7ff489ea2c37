"""Point files as they stand: columns and positions, before a raster or a legend comes in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError

from geoseg.domain.legend import Legend, legend_from_records
from geoseg.errors import PointsError
from geoseg.geodata.points.tables.crs_names import LON_LAT as LON_LAT
from geoseg.geodata.points.tables.crs_names import settle_crs
from geoseg.geodata.points.tables.delimited import read_delimited
from geoseg.geodata.points.tables.layers import (
    Layer,
    choose_layer,
    find_files,
    list_layers,
    unpacked,
    unreadable,
)
from geoseg.geodata.points.tables.number_texts import find_decimal_mark, read_numbers
from geoseg.geodata.points.tables.positions import find_positions

POINTS_LAYER, LEGEND_LAYER = "points", "legend"
GEOJSON_SUFFIXES = (".geojson", ".json")
_TEXT_SUFFIXES = (".csv", ".txt", ".tsv", ".asc")
_IMAGE_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".vrt", ".img", ".jp2", ".gpkg")
_POINT, _MULTIPOINT = 0, 4  # GEOS type ids
_LEGEND_COLUMNS = {"id", "name", "color"}


@dataclass(frozen=True)
class PointOptions:
    """How a point file is read, where it leaves that open.

    Attributes:
        class_column: Column that holds the classes; None: the first with a usual name.
        layer: Layer of a file of several; None chooses.
        crs: CRS of the positions, where the file does not declare it.
        per_polygon: Most points to take from a polygon or line.
    """

    class_column: str | None = None
    layer: str | None = None
    crs: str | None = None
    per_polygon: int = 10


@dataclass(frozen=True)
class PointTable:
    """A point file with P rows.

    Attributes:
        path: The file.
        columns: Everything but the geometry.
        xy: Map coordinates x and y, each (P,), NaN where a row has none; None if the file has only
            rows and columns of pixels.
        crs: What x and y are in; None if the file does not say.
        legend: The legend that the file brings.
        shapes: Lines and polygons (P,), None where a row is a point; None if all are points.
        notes: What was assumed, one sentence each.
        warnings: What may be a mistake, one sentence each.
    """

    path: Path
    columns: pd.DataFrame
    xy: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    crs: str | None
    legend: Legend | None = None
    shapes: NDArray[np.object_] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def has_rowcol(self) -> bool:
        """Whether there are columns row and col."""
        return self.find("row") is not None and self.find("col") is not None

    def find(self, *names: str) -> str | None:
        """Return the first column called one of ``names``, in their order, whatever the case."""
        there = {str(column).lower(): str(column) for column in reversed(list(self.columns))}
        return next((there[name.lower()] for name in names if name.lower() in there), None)

    def texts(self, name: str, default: str = "") -> NDArray[np.str_]:
        """Return a column as text (P,), ``default`` where a cell is empty or there is no such column.

        Whole numbers have no decimals, even where a gap in the column has made them fractional.
        """
        column = self.find(name)
        if column is None:
            return np.full(len(self), default)
        return np.array([_text(value) or default for value in self.columns[column]], dtype=np.str_)

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers (P,), NaN where a cell is empty or there is no such column.

        Raises:
            PointsError: A cell is not a number.
        """
        texts = self.texts(name).tolist()
        try:
            return read_numbers(texts, find_decimal_mark(texts) or ",")
        except ValueError as error:
            raise self.fault(name, expected="numbers", got=repr(str(error))) from error

    def fault(self, name: str, *, expected: str, got: object) -> PointsError:
        """Return the error that says what a column should hold."""
        where = f"{self.path}, column {name!r}"
        return PointsError("a column cannot be used", where=where, expected=expected, got=got)


def read_point_table(path: Path, options: PointOptions | None = None) -> PointTable:
    """Read what a file says of points: a text table, or anything in which GDAL finds positions.

    A table has columns of map coordinates (x and y, easting and northing, ...), of degrees (lon and
    lat, ...), of WKT, or row and col. A folder or a zip archive may hold the file. Multi-points are
    taken apart. The column ``image`` loses folders and the file's ending.

    Raises:
        PointsError: No such file, not a point file, no positions, or a CRS that contradicts the file's.
        LegendError: The layer "legend" is not one.
    """
    options = options or PointOptions()
    with unpacked(path) as place:
        files = find_files(place)
        if len(files) == 1 and files[0].suffix.lower() in _TEXT_SUFFIXES:
            table = _read_text(files[0], path, options)
        else:
            table = _read_layers(files, path, options)
    return _with_image_names(table)


def _text(value: object) -> str:
    if value is None or value is pd.NaT or value is pd.NA or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text if text.strip() else ""


def _read_text(file: Path, path: Path, options: PointOptions) -> PointTable:
    columns, notes, warnings = read_delimited(file)
    return replace(_from_columns(columns, path, options), notes=notes, warnings=warnings)


def _from_columns(columns: pd.DataFrame, path: Path, options: PointOptions) -> PointTable:
    """Return the table whose columns hold the positions."""
    positions = find_positions(columns, path, options.crs)
    if positions is not None:
        return _exploded(PointTable(path, columns, None, positions.crs), positions.geometry)
    table = PointTable(path, columns, None, None)
    if table.has_rowcol:
        return table
    raise PointsError(
        "the file has no columns for positions",
        where=path,
        expected="x and y, easting and northing, POINT_X and POINT_Y, or the like, with a CRS; or lon and lat; "
        "or WKT; or row and col",
        got=f"columns {', '.join(map(str, columns.columns))}",
        hint="Rename the columns that hold the coordinates; the first row must hold the columns' names.",
    )


def _read_layers(files: list[Path], path: Path, options: PointOptions) -> PointTable:
    with ExitStack() as stack:
        layers = [layer for file in files for layer in list_layers(file, stack)]
        layer, choice, is_doubtful = choose_layer(
            layers, wanted=options.layer, class_column=options.class_column, where=path
        )
        frame = _read_frame(layer)
        legend = _read_legend(layers, layer, path)
    table = _from_frame(frame, path, options)
    choices = () if choice is None else (choice,)
    if is_doubtful:
        return replace(table, legend=legend, notes=layer.notes, warnings=choices)
    return replace(table, legend=legend, notes=(*choices, *layer.notes))


def _read_frame(layer: Layer) -> pd.DataFrame:
    # In GeoJSON GDAL takes names that look like dates for dates.
    options = {"DATE_AS_STRING": "YES"} if layer.file.suffix.lower() in GEOJSON_SUFFIXES else {}
    try:
        frame: pd.DataFrame = pyogrio.read_dataframe(
            layer.file, layer=layer.name, encoding=layer.encoding, **options
        )
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise unreadable(layer.file, error) from error
    return frame


def _from_frame(frame: pd.DataFrame, path: Path, options: PointOptions) -> PointTable:
    if not isinstance(frame, gpd.GeoDataFrame):
        texts = {str(name): [_text(value) for value in frame[name]] for name in frame.columns}
        return _from_columns(pd.DataFrame(texts, dtype=str), path, options)
    is_geojson = path.suffix.lower() in GEOJSON_SUFFIXES
    crs = settle_crs(options.crs, _crs(frame), is_assumed=is_geojson, where=path)
    columns = pd.DataFrame(frame.drop(columns=frame.geometry.name))
    return _exploded(PointTable(path, columns, None, crs), frame.geometry.to_numpy())


def _read_legend(layers: Sequence[Layer], points: Layer, path: Path) -> Legend | None:
    """Return the legend beside the points; another table of that name is left alone."""
    for layer in layers:
        if layer.name == LEGEND_LAYER and layer.file == points.file and set(layer.fields) >= _LEGEND_COLUMNS:
            records = pyogrio.read_dataframe(layer.file, layer=LEGEND_LAYER, read_geometry=False)
            return legend_from_records(records.to_dict("records"), where=f"{path}, layer {LEGEND_LAYER!r}")
    return None


def _exploded(table: PointTable, geometry: NDArray[np.object_]) -> PointTable:
    """Take multi-points apart; a row without geometry stays, at NaN."""
    shapes = shapely.force_2d(geometry)
    shapes[shapely.is_empty(shapes)] = None
    is_multi = np.isin(shapely.get_type_id(shapes), [_MULTIPOINT])
    parts = [list(shape.geoms) if multi else [shape] for shape, multi in zip(shapes, is_multi, strict=True)]
    rows = np.repeat(np.arange(len(shapes)), [len(part) for part in parts])
    single = np.array([shape for part in parts for shape in part] or [None], dtype=object)[: len(rows)]
    is_point = shapely.get_type_id(single) == _POINT
    x, y = np.full((2, len(single)), np.nan)
    x[is_point], y[is_point] = shapely.get_x(single[is_point]), shapely.get_y(single[is_point])
    single[is_point] = None
    return replace(
        table,
        columns=table.columns.iloc[rows].reset_index(drop=True),
        xy=(x, y),
        shapes=single if (single != None).any() else None,  # noqa: E711 -- each of the array
    )


def _crs(frame: gpd.GeoDataFrame) -> str | None:
    # A GeoPackage can say "no CRS" only as "Undefined Cartesian SRS" or "Undefined geographic SRS".
    if frame.crs is None or frame.crs.name.lower().startswith("undefined"):
        return None
    return str(frame.crs.to_wkt())


def _with_image_names(table: PointTable) -> PointTable:
    """Name images by their stem, where the column holds file names or paths."""
    column = table.find("image")
    if column is None:
        return table
    stems = [_image_stem(text) for text in table.texts(column).tolist()]
    return replace(table, columns=table.columns.assign(**{column: stems}))


def _image_stem(text: str) -> str:
    name = text.strip().replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return stem if dot + ending.lower() in _IMAGE_SUFFIXES else name
