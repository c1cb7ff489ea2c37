"""Point files: labelled points written as GeoPackage, GeoJSON or CSV, and any point file read back."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geoseg.domain.legend import MAX_CLASSES, Legend, legend_from_names, legend_from_records
from geoseg.domain.points import CHECK, NO_SEED, TRAIN, Points
from geoseg.errors import LegendError, PointsError
from geoseg.geodata.audit import describe_dropped
from geoseg.geodata.outputs import whole_file
from geoseg.geodata.rasters import RasterInfo

POINTS_LAYER, LEGEND_LAYER = "points", "legend"
CLASS_COLUMNS = ("class", "label", "landcover", "land_cover", "class_name", "class_id", "id")
LON_LAT = "OGC:CRS84"

_GEOPACKAGE, _GEOJSON, _CSV = (".gpkg",), (".geojson", ".json"), (".csv",)
_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
# GDAL's default for RFC 7946 is 7 decimals of a degree, a centimetre; 15 are all that a float64 holds.
_LON_LAT_OPTIONS = {"RFC7946": "YES", "COORDINATE_PRECISION": 15}

_Numbers = NDArray[np.float64]
_Positions = tuple[_Numbers, _Numbers]


@dataclass(frozen=True)
class PointFile:
    """What a point file holds for a set of rasters.

    Attributes:
        points: The points that lie on the rasters, in the order of the file.
        legend: The legend that their class ids belong to.
        notes: What was decided for the user, one sentence each.
        dropped: Number of points that could not be used, by reason.
    """

    points: Points
    legend: Legend
    notes: tuple[str, ...]
    dropped: Mapping[str, int]


@dataclass(frozen=True)
class _Table:
    """A point file as it stands: its columns, and positions (P,) in its CRS or None; NaN where there is none."""

    path: Path
    columns: pd.DataFrame
    geometry: _Positions | None
    crs: str | None
    legend: Legend | None = None
    notes: tuple[str, ...] = ()

    def take(self, kept: NDArray[np.bool_]) -> _Table:
        geometry = None if self.geometry is None else (self.geometry[0][kept], self.geometry[1][kept])
        return replace(self, columns=self.columns[kept], geometry=geometry)


def write_points(
    path: str | Path,
    points: Points,
    rasters: Mapping[str, RasterInfo],
    legend: Legend,
    *,
    overwrite: bool,
) -> None:
    """Write a point file, whole or not at all; the suffix says which format.

    A GeoPackage holds the layers "points" and "legend". GeoJSON is in degrees, as RFC 7946 asks. The
    CRS is otherwise that of the first raster, by name; without one, x is col + 0.5 and y is
    -(row + 0.5), where QGIS shows an image that is not georeferenced. Rows and columns are kept to
    six decimals.

    Args:
        path: Ends in .gpkg, .geojson, .json or .csv.
        points: The points.
        rasters: What the images of the points are, by image name.
        legend: The legend of the class ids.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        PointsError: Another suffix, an image without a raster, or a CRS that some rasters lack.
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (*_GEOPACKAGE, *_GEOJSON, *_CSV):
        raise PointsError(
            "no format for points goes by this suffix",
            where=path,
            expected=".gpkg, .geojson, .json or .csv",
            got=suffix or "no suffix",
        )
    crs = _file_crs(rasters, suffix)
    table, geometry = _columns_of(points, legend), _map_positions(points, rasters, crs)
    with whole_file(path, overwrite=overwrite) as unfinished:
        if suffix in _CSV:
            x, y = geometry
            table.assign(x=x, y=y, crs=crs or "").to_csv(unfinished, index=False)
        elif suffix in _GEOJSON:
            _write_geojson(unfinished, table, geometry, crs)
        else:
            _write_geopackage(unfinished, table, geometry, crs)
            records = pd.DataFrame(legend.to_records())
            pyogrio.write_dataframe(records, unfinished, layer=LEGEND_LAYER, driver="GPKG")


def _write_geojson(path: Path, table: pd.DataFrame, geometry: _Positions, crs: str | None) -> None:
    options = {"COORDINATE_PRECISION": 15} if crs is None else _LON_LAT_OPTIONS
    # Class and image names are text, even where they look like JSON.
    _write_layer(path, table, geometry, crs, driver="GeoJSON", AUTODETECT_JSON_STRINGS="NO", **options)
