"""Point files: labelled points written as GeoPackage, GeoJSON or CSV, and any point file read back."""

from __future__ import annotations

import re
import warnings
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from numpy.typing import NDArray

from geoseg.domain.legend import Legend, legend_from_names
from geoseg.domain.points import CHECK, NO_SEED, TRAIN, Points
from geoseg.errors import LegendError, PointsError
from geoseg.geodata.audit import describe_dropped
from geoseg.geodata.outputs import whole_file
from geoseg.geodata.point_places import find_places, map_positions, shared_crs, six_decimals
from geoseg.geodata.point_tables import (
    GEOJSON_SUFFIXES,
    LEGEND_LAYER,
    LON_LAT,
    POINTS_LAYER,
    PointTable,
    read_point_table,
)
from geoseg.geodata.rasters import RasterInfo

CLASS_COLUMNS = ("class", "label", "landcover", "land_cover", "class_name", "class_id", "id")

# GDAL's default, 7 decimals of a degree, is a centimetre; a float64 holds 15. And names are text, even
# where they look like JSON.
_GEOJSON_OPTIONS = {"COORDINATE_PRECISION": "15", "AUTODETECT_JSON_STRINGS": "NO"}
_WHOLE_NUMBER = re.compile(r"([+-]?[0-9]+)(\.0*)?")


@dataclass(frozen=True)
class PointFile:
    """What a point file holds for a set of rasters.

    Attributes:
        points: The points that lie on the rasters, in the order of the file.
        legend: The legend that their class ids belong to.
        notes: What was decided for the user, one sentence each.
        dropped: Number of points that could not be used, by reason (no zeros).
    """

    points: Points
    legend: Legend
    notes: tuple[str, ...]
    dropped: Mapping[str, int]


def write_points(  # noqa: PLR0917 -- what is written, and what it is written about
    path: str | Path,
    points: Points,
    rasters: Mapping[str, RasterInfo],
    legend: Legend,
    *,
    overwrite: bool,
) -> None:
    """Write a point file, whole or not at all; the suffix says which format.

    A GeoPackage has the layers "points" and "legend". GeoJSON is in degrees, as RFC 7946 asks; else
    the CRS is that of the first raster, by name, and the points of all are brought to it. On images
    without CRS and transform, x is col + 0.5 and y is -(row + 0.5), where QGIS shows them. Rows and
    columns keep six decimals.

    Args:
        path: Ends in .gpkg, .geojson, .json or .csv.
        points: The points.
        rasters: The rasters that the points lie on, by image name.
        legend: The legend of the class ids.
        overwrite: Whether a file that is there may be replaced.

    Raises:
        PointsError: Another suffix, an image without a raster, or a CRS that only some rasters have.
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    suffix = _checked_suffix(path)
    crs = shared_crs(rasters)
    if crs is not None and suffix in GEOJSON_SUFFIXES:
        crs = LON_LAT
    table, (x, y) = _columns(points, legend), map_positions(points, rasters, crs)
    with whole_file(path, overwrite=overwrite) as unfinished:
        if suffix == ".csv":
            table.assign(x=x, y=y, crs=crs or "").to_csv(unfinished, index=False)
        else:
            _write_layer(unfinished, gpd.GeoDataFrame(table, geometry=gpd.points_from_xy(x, y), crs=crs))
        if suffix == ".gpkg":
            classes = pd.DataFrame(legend.to_records())
            pyogrio.write_dataframe(classes, unfinished, layer=LEGEND_LAYER, driver="GPKG")


def read_points(
    path: str | Path,
    rasters: Mapping[str, RasterInfo],
    *,
    legend: Legend | None,
    class_column: str | None = None,
) -> PointFile:
    """Read a point file and find each point's row and column on its raster.

    The file is a CSV with columns x, y and crs, or lon and lat, or row and col; or anything else in
    which GDAL finds points. A column ``image`` says which raster a point lies on, else that is the
    first, by name, that contains it. Columns weight, source, seed and role are optional.

    Args:
        path: The file.
        rasters: The rasters by image name.
        legend: The legend; without one it is the file's own, or is made from the classes in the file.
        class_column: Holds class names or ids; without it, the first of CLASS_COLUMNS that there is.

    Raises:
        PointsError: The file cannot be read, lacks a column or a CRS, or has no point on a raster.
        LegendError: The legend lacks a class that the points have.
    """
    table = read_point_table(Path(path))
    column = _class_column(table, class_column)
    classes = table.texts(column)
    legend, notes = _legend(table, column, legend)
    class_id = _class_ids(classes, legend, where=f"{path}, column {column!r}")
    places = find_places(table, rasters)
    fault = np.where((places.fault == "") & (classes == ""), "without a class", places.fault)
    used = fault == ""
    dropped = dict(Counter(fault[~used].tolist()))
    if not used.any():
        said = describe_dropped(dropped, len(table)) if len(table) else "The file is empty."
        raise PointsError("no point can be used", where=path, hint=said)
    points = Points(places.image, places.row, places.col, class_id, *_optional_columns(table))
    return PointFile(points.take(used), legend, notes, dropped)


def _checked_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in {".gpkg", ".csv", *GEOJSON_SUFFIXES}:
        return suffix
    raise PointsError(
        "points are not written to files of this kind",
        where=path,
        expected=".gpkg, .geojson, .json or .csv",
        got=suffix or "no suffix",
    )


def _columns(points: Points, legend: Legend) -> pd.DataFrame:
    columns = {
        "class": np.array(legend.names)[points.class_id],
        "class_id": points.class_id.astype(np.int64),
        "image": points.image,
        "row": six_decimals(points.row),
        "col": six_decimals(points.col),
        "weight": points.weight.astype(str).astype(np.float64),  # 0.1, not 0.10000000149
        "source": points.source,
        "seed": points.seed,
        "role": points.role,
    }
    return pd.DataFrame(columns)


def _write_layer(path: Path, frame: gpd.GeoDataFrame) -> None:
    is_geojson = path.suffix.lower() in GEOJSON_SUFFIXES
    rfc7946 = {} if frame.crs is None else {"RFC7946": "YES"}
    with warnings.catch_warnings():
        # Points on images that are not georeferenced have no CRS, and that is meant.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_dataframe(
            frame,
            path,
            layer=POINTS_LAYER,
            driver="GeoJSON" if is_geojson else "GPKG",
            geometry_type="Point",
            layer_options=_GEOJSON_OPTIONS | rfc7946 if is_geojson else {},
        )


def _class_column(table: PointTable, asked: str | None) -> str:
    found = table.find(*CLASS_COLUMNS) if asked is None else table.find(asked)
    if found is not None:
        return found
    raise PointsError(
        "the file has no column with classes" if asked is None else f"the file has no column {asked!r}",
        where=table.path,
        got=f"columns {', '.join(map(str, table.columns))}",
        hint="Name the column that holds the classes (--class-column).",
    )


def _legend(table: PointTable, column: str, given: Legend | None) -> tuple[Legend, tuple[str, ...]]:
    """Return the legend to use, and what the user should know about it."""
    if given is not None:
        return given, ()
    if table.legend is not None:
        return table.legend, ()
    names = sorted(set(table.texts(column).tolist()) - {""})
    if all(_WHOLE_NUMBER.fullmatch(name) for name in names):
        names.sort(key=_whole)
    if not names:
        raise PointsError("no point has a class", where=f"{table.path}, column {column!r}")
    return legend_from_names(names), (f"The classes come from column {column!r}: {', '.join(names)}.",)


def _class_ids(classes: NDArray[np.str_], legend: Legend, where: str) -> NDArray[np.uint8]:
    """Return ids (P,) of names, or of ids in writing if that is what all are; 0 for an empty text."""
    counts = Counter(classes[classes != ""].tolist())
    ids = {name: i for i, name in enumerate(legend.names)}
    if not counts.keys() <= ids.keys() and all(_WHOLE_NUMBER.fullmatch(text) for text in counts):
        ids = {text: _whole(text) for text in counts if 0 <= _whole(text) < len(legend)}
    foreign = [f"{text!r} ({number} points)" for text, number in counts.items() if text not in ids]
    if foreign:
        raise LegendError(
            "the legend lacks a class that the points have",
            where=where,
            expected=f"one of {', '.join(legend.names)}",
            got=", ".join(sorted(foreign)),
        )
    return np.array([ids.get(text, 0) for text in classes.tolist()], np.uint8)


def _whole(text: str) -> int:
    """Return a whole number, written 7 or 7.0.

    Raises:
        ValueError: It is something else.
    """
    number = _WHOLE_NUMBER.fullmatch(text)
    if number is None:
        raise ValueError(f"{str(text)!r} is not a whole number")
    return int(number[1])


def _optional_columns(
    table: PointTable,
) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.int64], NDArray[np.str_]]:
    """Return weight, source, seed and role (P,); where there are none, what make_points gives."""
    weight = table.floats("weight") if table.find("weight") else np.ones(len(table))
    if not (np.isfinite(weight) & (weight >= 0)).all():
        wrong = weight[~(np.isfinite(weight) & (weight >= 0))][0]
        raise table.fault("weight", expected="numbers that are 0 or more", got=wrong)
    role = table.texts("role", default=TRAIN)
    foreign = sorted(set(role.tolist()) - {TRAIN, CHECK})
    if foreign:
        raise table.fault("role", expected=f"{TRAIN} or {CHECK}", got=", ".join(map(repr, foreign)))
    try:
        seed = np.array([_whole(text) for text in table.texts("seed", default=str(NO_SEED))], np.int64)
    except (ValueError, OverflowError) as error:
        raise table.fault("seed", expected="whole numbers", got=error) from error
    return weight.astype(np.float32), table.texts("source", default="field"), seed, role
