"""The places of points: from the map coordinates of a file to rows and columns of rasters, and back."""

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
from geoseg.geodata.reading.crs import crs_name, transformer_between, wrap_x, x_period
from geoseg.geodata.reading.rasters import RasterInfo

_RASTER_HINT = "Give the raster its CRS (gdal_edit.py -a_srs EPSG:<code> RASTER)."
_POINTS_HINT = "State the CRS of the points: --crs EPSG:<code>, or a column crs in a CSV."

OUTSIDE = ("outside their image", "outside every raster")
"""Faults of points whose place is known and lies on no raster."""

_Floats = NDArray[np.float64]
_Bools = NDArray[np.bool_]
_Pair = tuple[_Floats, _Floats]


@dataclass(frozen=True)
class Places:
    """Where P points lie.

    Attributes:
        image: Name of the raster (P,), empty for a point without a place.
        row: Row (P,), to six decimals, NaN without a place.
        col: Column (P,), to six decimals, NaN without a place.
        fault: Why a point has no place (P,), empty where it has one.
    """

    image: NDArray[np.str_]
    row: _Floats
    col: _Floats
    fault: NDArray[np.str_]


def shared_crs(rasters: Mapping[str, RasterInfo]) -> str | None:
    """Return the CRS of the first raster by name, by its authority's code if it has one; None without a CRS.

    Raises:
        PointsError: Only some of the rasters have a CRS.
    """
    without = [name for name in sorted(rasters) if rasters[name].crs is None]
    if without and len(without) < len(rasters):
        raise PointsError(
            "some rasters have a CRS and some have none",
            expected="all or none",
            got=f"none in {', '.join(without)}",
        )
    if without or not rasters:
        return None
    crs = CRS(rasters[min(rasters)].crs)
    authority = crs.to_authority(min_confidence=100)
    return ":".join(authority) if authority else str(crs.to_wkt())


def map_positions(points: Points, rasters: Mapping[str, RasterInfo], crs: str | None) -> _Pair:
    """Return x and y (P,) of points in a CRS.

    With ``crs`` None they are in the raster's own frame: what its transform gives or, on an image that
    has none, col + 0.5 and -(row + 0.5), where QGIS shows it.

    Raises:
        PointsError: An image is not among the rasters, or there is no way to the CRS.
    """
    x, y = np.full((2, len(points)), np.nan)
    for image in np.unique(points.image).tolist():
        if image not in rasters:
            raise PointsError("points lie on an image that is not there", where=image)
        own = points.image == image
        row, col = six_decimals(points.row[own]), six_decimals(points.col[own])
        x[own], y[own] = to_map(rasters[image], row, col, crs=crs)
    return x, y


def find_places(table: PointTable, rasters: Mapping[str, RasterInfo]) -> Places:
    """Find the raster, row and column of each point of a table.

    A column ``image`` says which raster; where it is empty, it is the first by name that has the point.

    Raises:
        PointsError: Raster or points lack a CRS that the other has, there is no way from one CRS to
            the other, or it cannot be told on which image a point lies.
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
    """Round rows or columns the way files and digests keep them, without -0.0."""
    return np.round(values, 6) + 0.0


def _faults(
    is_known: _Bools, named: NDArray[np.str_], *, is_foreign: _Bools, is_placed: _Bools
) -> NDArray[np.str_]:
    is_named = named != ""
    faults = {
        "without a position": ~is_known,
        "on an image that is not there": is_named & is_foreign,
        OUTSIDE[0]: is_named & ~is_placed,
        OUTSIDE[1]: ~is_placed,
    }
    return np.select(list(faults.values()), list(faults), default="")


def _is_in_pixels(table: PointTable, rasters: Mapping[str, RasterInfo]) -> bool:
    """Tell whether the columns row and col give the places; else the map coordinates do."""
    rasters_crs = shared_crs(rasters)
    if rasters_crs is not None and table.crs is not None:
        return False
    _check_lack_of_crs(table, rasters_crs)
    if len(rasters) > 1 and (table.texts("image") == "").any():
        raise PointsError(
            "points without a CRS must say on which image they lie",
            where=table.path,
            expected="a column image, with the name of a raster in every row",
        )
    return table.has_rowcol


def _check_lack_of_crs(table: PointTable, rasters_crs: str | None) -> None:
    """Refuse map coordinates that cannot be compared: one side has a CRS, and rows and columns do not help."""
    # GeoJSON cannot say that it has no CRS, so there rows and columns speak for it.
    may_ignore_crs = table.has_rowcol and table.path.suffix.lower() in GEOJSON_SUFFIXES
    if table.crs is not None and not may_ignore_crs:
        raise _one_sided(table, "the points have a CRS and the raster has none", _RASTER_HINT)
    may_lack_crs = table.xy is None or (table.has_rowcol and table.find("image") is not None)
    if rasters_crs is not None and not may_lack_crs:
        raise _one_sided(table, "the raster has a CRS and the points have none", _POINTS_HINT)


def _one_sided(table: PointTable, what: str, hint: str) -> PointsError:
    return PointsError(what, where=table.path, expected="a CRS in both or in neither", hint=hint)


def _way(raster: RasterInfo, crs: str) -> Transformer | None:
    """Return the way from a raster's CRS to another, x before y; None if they are the same."""
    try:
        return transformer_between(str(raster.crs), crs)
    except ProjError as error:
        raise PointsError(
            "there is no way from the CRS of the points to that of the raster",
            where=raster.path,
            expected=f"points in {crs_name(raster.crs)} or in a CRS that leads to it",
            got=crs_name(crs),
            hint="If the coordinates are those of the raster's CRS, declare it for the points.",
        ) from error


def to_map(raster: RasterInfo, row: _Floats, col: _Floats, *, crs: str | None) -> _Pair:
    """Return x and y in a CRS, or in the raster's own frame, of rows and columns."""
    if crs is None and not raster.is_georeferenced:
        return col + 0.5, -row - 0.5
    x, y = raster.rowcol_to_xy(row, col)
    way = None if crs is None else _way(raster, crs)
    if way is not None:
        x, y = way.transform(x, y)
    # A raster in 0 to 360 degrees has places that GeoJSON gives as negative.
    return (wrap_x(x, -180, 360) if crs == LON_LAT and (np.abs(x) > 180).any() else x), y


def to_pixels(raster: RasterInfo, x: _Floats, y: _Floats, *, crs: str | None) -> _Pair:
    """Return rows and columns of map coordinates on a raster, NaN where a projection does not reach.

    Where the Earth repeats itself in the raster's CRS, as every 360 degrees, x counts in the turn that the raster
    begins in.

    Raises:
        PointsError: There is no way from ``crs`` to that of the raster.
    """
    if crs is None and not raster.is_georeferenced:
        return -y - 0.5, x - 0.5
    way = None if crs is None else _way(raster, crs)
    if way is not None:
        x, y = _back(way, x, y)
    # Where a projection does not reach, PROJ says infinity; such a point lies on no raster.
    reached = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(reached, x, np.nan), np.where(reached, y, np.nan)
    turn = None if raster.crs is None else x_period(raster.crs)
    return raster.xy_to_rowcol(wrap_x(x, raster.bounds[0], turn), y)


def is_on(raster: RasterInfo, row: _Floats, col: _Floats) -> _Bools:
    """Tell which rows and columns lie on a raster."""
    return (row >= -0.5) & (row < raster.height - 0.5) & (col >= -0.5) & (col < raster.width - 0.5)


def _back(transformer: Transformer, x: _Floats, y: _Floats) -> _Pair:
    """Return what the transformer brings to x and y, so that reading undoes writing to the last digit.

    A shift of datum without heights is undone by PROJ to a millimetre only; what the way there and
    back is off by is taken off once more.
    """
    first = transformer.transform(x, y, direction="INVERSE")
    again = transformer.transform(*transformer.transform(*first), direction="INVERSE")
    with np.errstate(invalid="ignore"):
        return 2 * first[0] - again[0], 2 * first[1] - again[1]
