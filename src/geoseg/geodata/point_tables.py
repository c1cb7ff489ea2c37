"""Point files as they stand: columns and positions, before a raster or a legend comes in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
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

POINTS_LAYER, LEGEND_LAYER = "points", "legend"
GEOJSON_SUFFIXES = (".geojson", ".json")
LON_LAT = "OGC:CRS84"


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
    """

    path: Path
    columns: pd.DataFrame
    xy: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    crs: str | None
    legend: Legend | None = None

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
        try:
            return np.array([float(text or "nan") for text in self.texts(name)], np.float64)
        except ValueError as error:
            raise self.fault(name, expected="numbers", got=error) from error

    def fault(self, name: str, *, expected: str, got: object) -> PointsError:
        """Return the error that says what a column should hold."""
        where = f"{self.path}, column {name!r}"
        return PointsError("a column cannot be used", where=where, expected=expected, got=got)


def read_point_table(path: Path) -> PointTable:
    """Read a CSV with columns x, y (and crs), or lon and lat, or row and col; or what GDAL finds points in.

    Of several layers it is the one called "points", else the first that has a geometry. Multi-points
    are taken apart.

    Raises:
        PointsError: No such file, not a point file, no positions, or other things than points.
        LegendError: The layer "legend" is not one.
    """
    if not path.is_file():
        raise PointsError("there is no such file", where=path)
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_layer(path)


def _text(value: object) -> str:
    if value is None or value != value:  # NaN is what differs from itself
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = str(value)
    return text if text.strip() else ""


def _read_csv(path: Path) -> PointTable:
    try:
        columns = pd.read_csv(path, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False)
    except (OSError, ValueError) as error:
        raise PointsError("the point file cannot be read", where=path, got=error) from error
    table = PointTable(path, columns, None, None)
    if table.find("x") and table.find("y"):
        return PointTable(path, columns, (table.floats("x"), table.floats("y")), _csv_crs(table))
    lon, lat = table.find("lon", "longitude"), table.find("lat", "latitude")
    if lon and lat:
        return PointTable(path, columns, (table.floats(lon), table.floats(lat)), LON_LAT)
    if table.has_rowcol:
        return table
    raise PointsError(
        "the file has no columns for positions",
        where=path,
        expected="x, y and crs; or lon and lat; or row and col",
        got=f"columns {', '.join(map(str, columns.columns))}",
    )


def _csv_crs(table: PointTable) -> str | None:
    named = sorted(set(table.texts("crs").tolist()))
    if len(named) > 1:
        raise table.fault("crs", expected="one CRS for all points", got=", ".join(map(repr, named)))
    return named[0] or None if named else None


def _read_layer(path: Path) -> PointTable:
    # In GeoJSON GDAL takes names that look like dates for dates.
    options = {"DATE_AS_STRING": "YES"} if path.suffix.lower() in GEOJSON_SUFFIXES else {}
    try:
        layers = {str(name): kind for name, kind in pyogrio.list_layers(path)}
        frame = pyogrio.read_dataframe(path, layer=_layer_to_read(path, layers), **options)
        legend = _read_legend(path) if layers.get(LEGEND_LAYER, "") is None else None
    except (DataSourceError, DataLayerError) as error:
        raise PointsError("the point file cannot be read", where=path, got=error) from error
    return _single_points(path, frame, legend)


def _layer_to_read(path: Path, layers: dict[str, str | None]) -> str:
    spatial = [name for name, kind in layers.items() if kind is not None]
    if not spatial:
        raise PointsError("the file has no layer of points", where=path, got=f"layers {', '.join(layers)}")
    return POINTS_LAYER if POINTS_LAYER in spatial else spatial[0]


def _read_legend(path: Path) -> Legend:
    records = pyogrio.read_dataframe(path, layer=LEGEND_LAYER, read_geometry=False).to_dict("records")
    return legend_from_records(records, where=f"{path}, layer {LEGEND_LAYER!r}")


def _single_points(path: Path, frame: gpd.GeoDataFrame, legend: Legend | None) -> PointTable:
    """Take multi-points apart; a row without geometry stays, at NaN."""
    _check_kinds(path, sorted(frame.geometry.geom_type.dropna().unique()))
    geometry = frame.geometry.to_numpy().copy()
    geometry[frame.geometry.is_empty | frame.geometry.isna()] = shapely.Point()
    parts, row = shapely.get_parts(geometry, return_index=True)
    parts[shapely.is_empty(parts)] = None  # GEOS refuses to say where an empty point is
    columns = pd.DataFrame(frame.drop(columns=frame.geometry.name)).iloc[row].reset_index(drop=True)
    return PointTable(path, columns, (shapely.get_x(parts), shapely.get_y(parts)), _crs(frame), legend)


def _check_kinds(path: Path, kinds: Sequence[str]) -> None:
    foreign = [kind for kind in kinds if kind not in {"Point", "MultiPoint"}]
    if foreign:
        raise PointsError("the file holds other things than points", where=path, got=", ".join(foreign))


def _crs(frame: gpd.GeoDataFrame) -> str | None:
    # A GeoPackage can say "no CRS" only as "Undefined Cartesian SRS" or "Undefined geographic SRS".
    if frame.crs is None or frame.crs.name.lower().startswith("undefined"):
        return None
    return str(frame.crs.to_wkt())
