"""Read the columns and positions of point files, before rasters and legends are applied."""

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

from geoseg.domain.class_tables import ClassTable
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
    """Options for reading a point file.

    Attributes:
        class_column: Class column; None: the first column with a common name.
        layer: Layer of a file with several layers; None: automatic choice.
        crs: CRS of the positions, if the file does not declare it.
        per_polygon: Maximum number of points from a polygon or line.
        class_table: New names of classes.
    """

    class_column: str | None = None
    layer: str | None = None
    crs: str | None = None
    per_polygon: int = 10
    class_table: ClassTable | None = None


@dataclass(frozen=True)
class PointTable:
    """A point file with P rows.

    Attributes:
        path: The file.
        columns: All columns except the geometry.
        xy: Map coordinates x and y, each (P,), NaN for a row without coordinates; None if the file has only
            rows and columns of pixels.
        crs: CRS of x and y; None if the file does not declare it.
        legend: The legend in the file.
        shapes: Lines and polygons (P,), None for a row with a point; None if all rows are points.
        notes: Assumptions, one sentence each.
        warnings: Possible errors, one sentence each.
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
        """Return the first of ``names`` that is a column, ignoring case; None if there is none."""
        by_name = {str(column).lower(): str(column) for column in reversed(list(self.columns))}
        return next((by_name[name.lower()] for name in names if name.lower() in by_name), None)

    def texts(self, name: str, default: str = "") -> NDArray[np.str_]:
        """Return a column as text (P,); ``default`` for an empty cell or a missing column.

        Integers have no decimals, even if pandas stored them as floats because of an empty cell.
        """
        column = self.find(name)
        if column is None:
            return np.full(len(self), default)
        return np.array([_text(value) or default for value in self.columns[column]], dtype=np.str_)

    def floats(self, name: str) -> NDArray[np.float64]:
        """Return a column as numbers (P,); NaN for an empty cell or a missing column.

        Raises:
            PointsError: A cell is not a number.
        """
        texts = self.texts(name).tolist()
        try:
            return read_numbers(texts, find_decimal_mark(texts) or ",")
        except ValueError as error:
            raise self.fault(name, expected="numbers", got=repr(str(error))) from error

    def fault(self, name: str, *, expected: str, got: object) -> PointsError:
        """Return the error for invalid values in a column."""
        where = f"{self.path}, column {name!r}"
        return PointsError("invalid values in a column", where=where, expected=expected, got=got)


def read_point_table(path: Path, options: PointOptions | None = None) -> PointTable:
    """Read a point file: a text table, or a vector file that GDAL reads.

    A text table has columns of map coordinates (x and y, easting and northing, ...), degrees (lon and lat, ...), WKT, or
    row and col. The file may be in a folder or a zip archive. Multi-points are split. The values of the column
    ``image`` are shortened to the file stem.

    Raises:
        PointsError: The file does not exist, is not a point file, has no positions, or declares another CRS than the
            given one.
        LegendError: The layer "legend" is not a valid legend.
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
    """Return a table with positions from its columns."""
    positions = find_positions(columns, path, options.crs)
    if positions is not None:
        return _exploded(PointTable(path, columns, None, positions.crs), positions.geometry)
    table = PointTable(path, columns, None, None)
    if table.has_rowcol:
        return table
    raise PointsError(
        "the file has no position columns",
        where=path,
        expected="x and y, easting and northing, or POINT_X and POINT_Y, with a CRS; or lon and lat; "
        "or WKT; or row and col",
        got=f"columns {', '.join(map(str, columns.columns))}",
        hint="Rename the coordinate columns. The first row must contain the column names.",
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
    # In GeoJSON, GDAL converts texts that look like dates to dates.
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
    """Return the legend layer of the points; a layer "legend" with other columns is ignored."""
    for layer in layers:
        if layer.name == LEGEND_LAYER and layer.file == points.file and set(layer.fields) >= _LEGEND_COLUMNS:
            records = pyogrio.read_dataframe(layer.file, layer=LEGEND_LAYER, read_geometry=False)
            return legend_from_records(records.to_dict("records"), where=f"{path}, layer {LEGEND_LAYER!r}")
    return None


def _exploded(table: PointTable, geometry: NDArray[np.object_]) -> PointTable:
    """Split multi-points into rows; a row without geometry is kept with NaN."""
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
        shapes=single if (single != None).any() else None,  # noqa: E711 -- elementwise comparison
    )


def _crs(frame: gpd.GeoDataFrame) -> str | None:
    # A GeoPackage without CRS declares "Undefined Cartesian SRS" or "Undefined geographic SRS".
    if frame.crs is None or frame.crs.name.lower().startswith("undefined"):
        return None
    return str(frame.crs.to_wkt())


def _with_image_names(table: PointTable) -> PointTable:
    """Replace file names and paths in the column image by their stem."""
    column = table.find("image")
    if column is None:
        return table
    stems = [_image_stem(text) for text in table.texts(column).tolist()]
    return replace(table, columns=table.columns.assign(**{column: stems}))


def _image_stem(text: str) -> str:
    name = text.strip().replace("\\", "/").rpartition("/")[2]
    stem, dot, ending = name.rpartition(".")
    return stem if dot + ending.lower() in _IMAGE_SUFFIXES else name
