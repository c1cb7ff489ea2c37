"""Convert the positions of points from map coordinates to rows and columns of rasters, and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from geoseg.domain.points import Points
from geoseg.errors import PointsError
from geoseg.geodata.points.point_tables import GEOJSON_SUFFIXES, LON_LAT, PointTable
from geoseg.geodata.reading.crs import crs_code, crs_name, transformer_between, wrap_x, x_period
from geoseg.geodata.reading.rasters import RasterInfo

_RASTER_HINT = "Assign a CRS to the raster (gdal_edit.py -a_srs EPSG:<code> RASTER)."
_POINTS_HINT = "Give the CRS of the points: --crs EPSG:<code>, or a column crs in a CSV."

OUTSIDE = ("outside their image", "outside every raster")
"""Reasons for points with a known position that lies on no raster."""

_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]
_Pair = tuple[_Floats, _Floats]


@dataclass(frozen=True)
class Places:
    """Positions of P points on rasters.

    Attributes:
        image: Name of the raster (P,); empty for a point on no raster.
        row: Row (P,), to six decimals; NaN for a point on no raster.
        col: Column (P,), to six decimals; NaN for a point on no raster.
        fault: Reason why a point is on no raster (P,); empty if it is on one.
    """

    image: NDArray[np.str_]
    row: _Floats
    col: _Floats
    fault: NDArray[np.str_]


def shared_crs(rasters: Mapping[str, RasterInfo]) -> str | None:
    """Return the CRS of the first raster by name, as an authority code or else as WKT; None without a CRS.

    Raises:
        PointsError: Only some of the rasters have a CRS.
    """
    without = [name for name in sorted(rasters) if rasters[name].crs is None]
    if without and len(without) < len(rasters):
        raise PointsError(
            "some rasters have a CRS and some have none",
            expected="a CRS in all rasters or in none",
            got=f"none in {', '.join(without)}",
        )
    if without or not rasters:
        return None
    crs = CRS(rasters[min(rasters)].crs)
    return crs_code(crs) or str(crs.to_wkt())


def map_positions(points: Points, rasters: Mapping[str, RasterInfo], crs: str | None) -> _Pair:
    """Return x and y (P,) of points in a CRS.

    With ``crs`` None they are the coordinates of the raster's transform. On an image without a transform they are
    col + 0.5 and -(row + 0.5), as in QGIS.

    Raises:
        PointsError: An image is not among the rasters, or there is no transformation to the CRS.
    """
    x, y = np.full((2, len(points)), np.nan)
    for image in np.unique(points.image).tolist():
        if image not in rasters:
            raise PointsError("no raster has the image name of these points", where=image)
        own = points.image == image
        row, col = six_decimals(points.row[own]), six_decimals(points.col[own])
        x[own], y[own] = to_map(rasters[image], row, col, crs=crs)
    return x, y


def find_places(table: PointTable, rasters: Mapping[str, RasterInfo]) -> Places:
    """Find the raster, row and column of each point of a table.

    A column ``image`` names the raster. If it is empty, the raster is the first by name that contains the point.

    Raises:
        PointsError: Only one of rasters and points has a CRS, there is no transformation between the CRS, or the image
            of a point is ambiguous.
    """
    in_pixels = _is_in_pixels(table, rasters)
    first, second = table.floats("row"), table.floats("col")
    if not in_pixels and table.xy is not None:
        first, second = table.xy
    is_known = np.isfinite(first) & np.isfinite(second)
    named = table.texts("image")
    image = np.full(len(table), "", dtype=object)
    row, col = np.full((2, len(table)), np.nan)
    for name, raster in sorted(rasters.items()):
        seeking = np.flatnonzero(is_known & (image == "") & ((named == name) | (named == "")))
        r, c = first[seeking], second[seeking]
        if not in_pixels:
            r, c = to_pixels(raster, r, c, crs=table.crs)
        inside = is_on(raster, r, c)
        found = seeking[inside]
        image[found], row[found], col[found] = name, six_decimals(r[inside]), six_decimals(c[inside])
    fault = _faults(is_known, named, is_foreign=~np.isin(named, list(rasters)), is_placed=image != "")
    return Places(image.astype(np.str_), row, col, fault)


def six_decimals(values: _Floats) -> _Floats:
    """Round rows or columns to the six decimals of files and digests, without -0.0."""
    return np.round(values, 6) + 0.0


def _faults(
    is_known: _Bools, named: NDArray[np.str_], *, is_foreign: _Bools, is_placed: _Bools
) -> NDArray[np.str_]:
    is_named = named != ""
    faults = {
        "without a position": ~is_known,
        "on an unknown image": is_named & is_foreign,
        OUTSIDE[0]: is_named & ~is_placed,
        OUTSIDE[1]: ~is_placed,
    }
    return np.select(list(faults.values()), list(faults), default="")


def _is_in_pixels(table: PointTable, rasters: Mapping[str, RasterInfo]) -> bool:
    """Return whether the positions are in the columns row and col, not in map coordinates."""
    rasters_crs = shared_crs(rasters)
    if rasters_crs is not None and table.crs is not None:
        return False
    _check_lack_of_crs(table, rasters_crs)
    if len(rasters) > 1 and (table.texts("image") == "").any():
        raise PointsError(
            "points without a CRS need an image name",
            where=table.path,
            expected="a column image with the name of a raster in every row",
        )
    return table.has_rowcol


def _check_lack_of_crs(table: PointTable, rasters_crs: str | None) -> None:
    """Check that points and rasters both have a CRS, or that the points have rows and columns instead.

    Raises:
        PointsError: Only one of them has a CRS.
    """
    # GeoJSON always has a CRS, so its columns row and col take precedence.
    may_ignore_crs = table.has_rowcol and table.path.suffix.lower() in GEOJSON_SUFFIXES
    if table.crs is not None and not may_ignore_crs:
        raise _one_sided(table, "the points have a CRS and the raster has none", _RASTER_HINT)
    may_lack_crs = table.xy is None or (table.has_rowcol and table.find("image") is not None)
    if rasters_crs is not None and not may_lack_crs:
        raise _one_sided(table, "the raster has a CRS and the points have none", _POINTS_HINT)


def _one_sided(table: PointTable, what: str, hint: str) -> PointsError:
    return PointsError(what, where=table.path, expected="a CRS in both or in neither", hint=hint)


def _transformer_to(raster: RasterInfo, crs: str) -> Transformer | None:
    """Return the transformer from the CRS of a raster to another, in x, y order; None if they are the same."""
    try:
        return transformer_between(str(raster.crs), crs)
    except ProjError as error:
        raise PointsError(
            "there is no transformation from the CRS of the points to that of the raster",
            where=raster.path,
            expected=f"points in {crs_name(raster.crs)} or in a CRS with a transformation to it",
            got=crs_name(crs),
            hint="If the coordinates are in the CRS of the raster, assign it to the points.",
        ) from error


def to_map(raster: RasterInfo, row: _Floats, col: _Floats, *, crs: str | None) -> _Pair:
    """Convert rows and columns of a raster to x and y in a CRS; None: as in :func:`map_positions`."""
    if crs is None and not raster.is_georeferenced:
        return col + 0.5, -row - 0.5
    x, y = raster.rowcol_to_xy(row, col)
    transformer = None if crs is None else _transformer_to(raster, crs)
    if transformer is not None:
        x, y = transformer.transform(x, y)
    # GeoJSON needs longitudes of -180..180; the raster may use 0..360.
    return (wrap_x(x, -180, 360) if crs == LON_LAT and (np.abs(x) > 180).any() else x), y


def to_pixels(raster: RasterInfo, x: _Floats, y: _Floats, *, crs: str | None) -> _Pair:
    """Convert map coordinates to rows and columns of a raster; NaN outside the range of the projection.

    If x is periodic in the CRS of the raster (360 degrees), it is shifted to the period of the raster.

    Raises:
        PointsError: There is no transformation from ``crs`` to the CRS of the raster.
    """
    if crs is None and not raster.is_georeferenced:
        return -y - 0.5, x - 0.5
    transformer = None if crs is None else _transformer_to(raster, crs)
    if transformer is not None:
        x, y = _inverse(transformer, x, y)
    # PROJ returns infinity outside the range of the projection; such a point lies on no raster.
    is_known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(is_known, x, np.nan), np.where(is_known, y, np.nan)
    period = None if raster.crs is None else x_period(raster.crs)
    return raster.xy_to_rowcol(wrap_x(x, raster.bounds[0], period), y)


def is_on(raster: RasterInfo, row: _Floats, col: _Floats) -> _Bools:
    """Return which rows and columns lie on a raster."""
    return (row >= -0.5) & (row < raster.height - 0.5) & (col >= -0.5) & (col < raster.width - 0.5)


def _inverse(transformer: Transformer, x: _Floats, y: _Floats) -> _Pair:
    """Apply the inverse of a transformer so that reading restores written coordinates exactly.

    PROJ inverts a datum shift without heights only to a millimetre. Measure the error of a round trip and subtract it.
    """
    first = transformer.transform(x, y, direction="INVERSE")
    again = transformer.transform(*transformer.transform(*first), direction="INVERSE")
    with np.errstate(invalid="ignore"):
        return 2 * first[0] - again[0], 2 * first[1] - again[1]
