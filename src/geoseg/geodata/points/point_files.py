"""Write labelled points as GeoPackage, GeoJSON or CSV, and read point files of any format."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
from numpy.typing import NDArray

from geoseg.domain.class_names import whole_number
from geoseg.domain.legend import Legend
from geoseg.domain.points import CHECK, NO_SEED, TRAIN, Points
from geoseg.errors import PointsError
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.outputs.styles import write_point_style
from geoseg.geodata.points.dropped_points import DroppedPoints, describe_dropped, point_rows
from geoseg.geodata.points.misplacement import explain_misplaced
from geoseg.geodata.points.point_classes import find_classes
from geoseg.geodata.points.point_places import OUTSIDE, find_places, map_positions, shared_crs, six_decimals
from geoseg.geodata.points.point_tables import (
    GEOJSON_SUFFIXES,
    LEGEND_LAYER,
    LON_LAT,
    POINTS_LAYER,
    PointOptions,
    PointTable,
    read_point_table,
)
from geoseg.geodata.points.shape_sampling import sample_shapes
from geoseg.geodata.points.training_places import coordinate_step
from geoseg.geodata.reading.rasters import RasterInfo

_MANY_OUTSIDE = 0.1
# GDAL writes 7 decimals of a degree (1 cm) by default; a float64 has 15. Names that look like JSON stay text.
_GEOJSON_OPTIONS = {"COORDINATE_PRECISION": "15", "AUTODETECT_JSON_STRINGS": "NO"}


@dataclass(frozen=True)
class PointFile:
    """Content of a point file for a set of rasters.

    Attributes:
        points: The points on the rasters, in the order of the file.
        legend: The legend of their class ids.
        notes: Automatic choices, one sentence each.
        dropped: The unusable points.
        rows: Number in the file, class, image and position of each of ``points``.
        warnings: Possible errors in the file, one sentence each.
        table: The columns of the file for each of ``points``, and its CRS; None in a file without points.
        outside: Points with a known class that lie on no raster, with their image name.
        step: Rounding step of the coordinates, in metres.
        counts: Number of usable rows of the file per class (C,); a polygon is one row.
        misplaced: Message with the extents of the outside points and the rasters; empty if fewer than a tenth of the
            points are outside.
    """

    points: Points
    legend: Legend
    notes: tuple[str, ...]
    dropped: DroppedPoints
    rows: pd.DataFrame
    outside: Points
    step: float
    counts: tuple[int, ...]
    misplaced: str = ""
    warnings: tuple[str, ...] = ()
    table: PointTable | None = None


def write_points(  # noqa: PLR0917
    path: str | Path,
    points: Points,
    rasters: Mapping[str, RasterInfo],
    legend: Legend,
    *,
    overwrite: bool,
) -> None:
    """Write a point file atomically; the suffix determines the format.

    A GeoPackage has the layers "points" and "legend". GeoJSON is in degrees, as RFC 7946 requires. Other formats use
    the CRS of the first raster by name, and all points are transformed to it. On images without CRS and transform, x is
    col + 0.5 and y is -(row + 0.5), which is their position in QGIS. Rows and columns have six decimals.

    Args:
        path: A path that ends in .gpkg, .geojson, .json or .csv.
        points: The points.
        rasters: The rasters under the points, by image name.
        legend: The legend of the class ids.
        overwrite: Whether an existing file may be replaced.

    Raises:
        PointsError: The suffix is not supported, an image has no raster, or only some rasters have a CRS.
        OutputError: The file exists and may not be replaced, or cannot be written.
    """
    path = Path(path)
    suffix = _checked_suffix(path)
    crs = shared_crs(rasters)
    if crs is not None and suffix in GEOJSON_SUFFIXES:
        crs = LON_LAT
    frame = points_frame(points, rasters, legend, crs=crs)
    with whole_file(path, overwrite=overwrite) as unfinished:
        if suffix == ".csv":
            table, places = pd.DataFrame(frame.drop(columns="geometry")), frame.geometry
            table.assign(x=places.x, y=places.y, crs=crs or "").to_csv(unfinished, index=False)
        else:
            write_point_layer(unfinished, frame, POINTS_LAYER)
        if suffix == ".gpkg":
            classes = pd.DataFrame(legend.to_records())
            pyogrio.write_dataframe(classes, unfinished, layer=LEGEND_LAYER, driver="GPKG")
            write_point_style(unfinished, POINTS_LAYER, legend)


def points_frame(
    points: Points, rasters: Mapping[str, RasterInfo], legend: Legend, *, crs: str | None
) -> gpd.GeoDataFrame:
    """Return points as a table with a geometry, with the columns of a point file.

    Args:
        points: The points.
        rasters: The rasters that the points lie on, by image name.
        legend: The legend of the class ids.
        crs: CRS of the geometry; None: the raster's own frame.

    Raises:
        PointsError: An image is not among the rasters, or there is no way to the CRS.
    """
    x, y = map_positions(points, rasters, crs)
    return gpd.GeoDataFrame(_columns(points, legend), geometry=gpd.points_from_xy(x, y), crs=crs)


def read_points(
    path: str | Path,
    rasters: Mapping[str, RasterInfo],
    *,
    legend: Legend | None,
    options: PointOptions | None = None,
) -> PointFile:
    """Read a point file and find the row and column of each point on its raster.

    The file is a text table with position columns, or a vector file that GDAL reads. Lines and polygons are sampled
    (:func:`geoseg.geodata.points.shape_sampling.sample_shapes`). A column ``image`` names the raster of a point.
    Without it, the raster is the first by name that contains the point. The columns weight, source, seed and role are
    optional.

    Args:
        path: The file.
        rasters: The rasters by image name.
        legend: The legend. None uses the legend in the file, or creates one from its classes.
        options: Options that the file does not determine, such as the class column.

    Raises:
        PointsError: The file cannot be read, lacks a column or a CRS, or has no point on a raster.
        LegendError: A point has a class that the legend lacks.
    """
    file = examine_points(path, rasters, legend=legend, options=options)
    if not len(file.points):
        said = describe_dropped(file.dropped.counts(), len(file.dropped))
        raise PointsError("no usable point", where=path, hint=f"{said} {file.misplaced}".rstrip())
    return file


def examine_points(
    path: str | Path,
    rasters: Mapping[str, RasterInfo],
    *,
    legend: Legend | None,
    options: PointOptions | None = None,
    drops_unknown: bool = False,
) -> PointFile:
    """Read a point file as :func:`read_points` does, also if no point can be used.

    Args:
        path: The file.
        rasters: The rasters by image name.
        legend: As for :func:`read_points`.
        options: As for :func:`read_points`.
        drops_unknown: Whether points of a class that the legend lacks are dropped, instead of an error.

    Raises:
        PointsError: The file cannot be read, has no points, or lacks a column or a CRS.
        LegendError: A point has a class that the legend lacks.
    """
    options = options or PointOptions()
    table = read_point_table(Path(path), options)
    if not len(table):
        raise PointsError("the file has no points", where=path)
    table, origin = sample_shapes(table, rasters, options.per_polygon)
    classes = find_classes(
        table,
        legend,
        column=options.class_column,
        class_table=options.class_table,
        drops_unknown=drops_unknown,
    )
    places, matched = find_places(table, rasters), classes.matched
    fault = np.where(places.fault == "", classes.fault, places.fault)
    used, rows = fault == "", point_rows(table, classes.texts, origin)
    dropped = DroppedPoints(rows[~used].assign(reason=fault[~used]), table.crs)
    points = Points(places.image, places.row, places.col, matched.class_id, *_optional_columns(table))
    outside = replace(points, image=table.texts("image")).take(
        np.isin(places.fault, OUTSIDE) & (classes.fault == "")
    )
    return PointFile(
        points.take(used),
        matched.legend,
        (*table.notes, *classes.notes),
        dropped,
        rows[used],
        outside,
        coordinate_step(table.xy, table.crs),
        _count_rows(origin[used], matched.class_id[used], len(matched.legend)),
        _explain_outside(dropped, len(table), rasters),
        (*table.warnings, *classes.warnings),
        replace(table, columns=table.columns[used], xy=None),
    )


def _explain_outside(dropped: DroppedPoints, total: int, rasters: Mapping[str, RasterInfo]) -> str:
    """Return the extents of outside points and rasters if at least a tenth of the points are outside."""
    outside = dropped.table[dropped.table["reason"].isin(OUTSIDE)]
    if not rasters or not len(outside) or len(outside) < _MANY_OUTSIDE * total:
        return ""
    x, y = (outside[name].to_numpy(np.float64) for name in ("x", "y"))
    return explain_misplaced(x, y, crs=dropped.crs, rasters=rasters)


def _count_rows(origin: NDArray[np.int64], class_id: NDArray[np.uint8], classes: int) -> tuple[int, ...]:
    """Return the number of rows of the file per class (C,); a polygon counts once."""
    _, first = np.unique(origin, return_index=True)
    return tuple(np.bincount(class_id[first], minlength=classes).tolist())


def _checked_suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix in {".gpkg", ".csv", *GEOJSON_SUFFIXES}:
        return suffix
    raise PointsError(
        "this format is not supported for points",
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


def write_point_layer(path: Path, frame: gpd.GeoDataFrame, layer: str) -> None:
    """Write a layer of points as GeoPackage or GeoJSON, by the suffix of the path."""
    is_geojson = path.suffix.lower() in GEOJSON_SUFFIXES
    rfc7946 = {} if frame.crs is None else {"RFC7946": "YES"}
    with warnings.catch_warnings():
        # Points on images without a georeference have no CRS by design.
        warnings.filterwarnings("ignore", "'crs' was not provided", UserWarning)
        pyogrio.write_dataframe(
            frame,
            path,
            layer=layer,
            driver="GeoJSON" if is_geojson else "GPKG",
            geometry_type="Point",
            layer_options=_GEOJSON_OPTIONS | rfc7946 if is_geojson else {},
        )


def _optional_columns(
    table: PointTable,
) -> tuple[NDArray[np.float32], NDArray[np.str_], NDArray[np.int64], NDArray[np.str_]]:
    """Return weight, source, seed and role (P,); defaults as in make_points."""
    weight = table.floats("weight") if table.find("weight") else np.ones(len(table))
    if not (np.isfinite(weight) & (weight >= 0)).all():
        wrong = weight[~(np.isfinite(weight) & (weight >= 0))][0]
        raise table.fault("weight", expected="numbers that are 0 or more", got=wrong)
    role = table.texts("role", default=TRAIN)
    foreign = sorted(set(role.tolist()) - {TRAIN, CHECK})
    if foreign:
        raise table.fault("role", expected=f"{TRAIN} or {CHECK}", got=", ".join(map(repr, foreign)))
    written = table.texts("seed", default=str(NO_SEED)).tolist()
    numbers = [whole_number(text) for text in written]
    if any(number is None or abs(number) >= 2**63 for number in numbers):
        wrong = next(t for t, n in zip(written, numbers, strict=True) if n is None or abs(n) >= 2**63)
        raise table.fault("seed", expected="whole numbers", got=repr(wrong))
    seed = np.array(numbers, np.int64)
    return weight.astype(np.float32), table.texts("source", default="field"), seed, role
