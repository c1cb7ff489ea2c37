"""Describe the pixel grid of a raster on the ground, and compare the grids of rasters."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from affine import Affine
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # rasterio publishes no other name for GDAL's own errors
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as warp_points

from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.errors import RasterError
from geoseg.geodata.reading.crs import crs_name

_Coords = tuple[NDArray[np.float64], NDArray[np.float64]]

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)

_GRID_TOLERANCE_PX = 1e-3
_CRS_TOLERANCE_PX = 1e-2
_SCALE_TOLERANCE = 0.01
_WGS84_RADIUS_M, _WGS84_E2 = 6378137.0, 0.00669437999014


@dataclass(frozen=True)
class RasterInfo:
    """Description of a raster without its pixels.

    Attributes:
        path: The file.
        height: Rows of pixels.
        width: Columns of pixels.
        bands: Bands of data, without an alpha band; a palette counts as red, green and blue.
        dtype: NumPy name of the common type of all bands.
        crs: Coordinate reference system as WKT; None without one.
        transform: Affine a, b, c, d, e, f from pixel corners (col, row) to x, y.
        resolution_m: Ground size of a pixel in metres, at the centre of the raster; None without a CRS.
        nodata: The nodata value, if the file declares one.
        georeferenced_by: Georeference without a transform, so that the raster must be warped first: "ground control points",
            "RPCs" or "a geolocation array"; None for all other rasters.
        notes: How the files of a stack were brought to one grid, one sentence each.
        feature_space: The space of the bands, if the file shows with certainty that they are features.
    """

    path: Path
    height: int
    width: int
    bands: int
    dtype: str
    crs: str | None
    transform: tuple[float, float, float, float, float, float]
    resolution_m: float | None
    nodata: float | None
    georeferenced_by: str | None = None
    notes: tuple[str, ...] = ()
    feature_space: FeatureSpace | None = None

    @property
    def affine(self) -> Affine:
        """The transform as an Affine object."""
        return Affine(*self.transform)

    @property
    def is_georeferenced(self) -> bool:
        """Whether the raster has a CRS or a geotransform."""
        return self.crs is not None or self.transform != IDENTITY

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the raster in its CRS."""
        x, y = apply_affine(self.affine, *_corners(self))
        return float(x.min()), float(y.min()), float(x.max()), float(y.max())

    def xy_to_rowcol(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> _Coords:
        """Convert map coordinates in the CRS of the raster to rows and columns; any shape.

        (0, 0) is the centre of the first pixel. The result is rounded to 6 decimals, so that a point at a pixel centre
        has exact whole numbers.
        """
        col, row = apply_affine(~self.affine, np.asarray(x, np.float64), np.asarray(y, np.float64))
        return np.round(row - 0.5, 6), np.round(col - 0.5, 6)

    def rowcol_to_xy(self, row: NDArray[np.float64], col: NDArray[np.float64]) -> _Coords:
        """Convert rows and columns, counted from pixel centres, to map coordinates in the CRS of the raster."""
        return apply_affine(self.affine, np.asarray(col, np.float64) + 0.5, np.asarray(row, np.float64) + 0.5)


def describe_missing_georeference(info: RasterInfo) -> str | None:
    """Return a warning if a raster has no CRS or no geotransform, else None."""
    name, has_transform = info.path.name, info.transform != IDENTITY
    if info.crs is not None and has_transform:
        return None
    hint = f"If you know it, declare it: gdal_edit.py -a_srs EPSG:<code> {name}"
    if info.crs is not None:
        return f"{name} has a CRS but no geotransform: its maps lie at the origin of the CRS, not at their true position."
    if has_transform:
        return f"{name} has no CRS: its maps have no CRS and no areas either. {hint}"
    return f"{name} has no CRS and no geotransform: its maps are not georeferenced and have no areas."


def apply_affine(affine: Affine, x: NDArray[np.float64], y: NDArray[np.float64]) -> _Coords:
    """Apply ``affine`` to coordinates x, y of any shape."""
    return affine.a * x + affine.b * y + affine.c, affine.d * x + affine.e * y + affine.f


def ground_steps_m(info: RasterInfo) -> tuple[float, float] | None:
    """Return the ground size in metres of a pixel at the centre, along rows and along columns.

    If the scale error of a projection is within 1 %, use its own units. Otherwise (degrees, Web Mercator far from the
    equator) measure on the WGS 84 ellipsoid.

    Returns:
        Metres per row and metres per column; None without a CRS, or if they cannot be determined.
    """
    if info.crs is None:
        return None
    crs = CRS.from_wkt(info.crs)
    nominal = _nominal_steps(info.affine, crs)
    measured = _measured_steps(info, crs)
    if measured is None or nominal is None:
        return measured or nominal
    is_true_to_scale = all(abs(m / n - 1) <= _SCALE_TOLERANCE for m, n in zip(measured, nominal, strict=True))
    return nominal if is_true_to_scale else measured


def with_resolution(info: RasterInfo) -> RasterInfo:
    """Return ``info`` with its ground resolution: the geometric mean of the pixel's two sides."""
    steps = ground_steps_m(info)
    # Round to 12 digits, so that a square pixel gets exactly its side.
    return replace(info, resolution_m=float(f"{math.sqrt(steps[0] * steps[1]):.12g}") if steps else None)


def resampled_grid(info: RasterInfo, resolution_m: float) -> tuple[RasterInfo, float, float]:
    """Return a grid of square pixels of another ground size over a raster, with the same upper left corner.

    Args:
        info: The raster.
        resolution_m: Ground size of the new pixels in metres, > 0.

    Returns:
        The new grid, and the number of source rows and source columns per pixel.

    Raises:
        RasterError: The raster has no CRS, or the size is not a positive number.
    """
    steps = ground_steps_m(info)
    if steps is None:
        raise RasterError(
            "the raster cannot be resampled to a ground resolution",
            where=info.path,
            expected="a coordinate reference system",
            got="none",
            hint="Assign a CRS (gdal_edit.py -a_srs EPSG:...), or leave out the resampling.",
        )
    if not (math.isfinite(resolution_m) and resolution_m > 0):
        raise RasterError(
            "invalid ground resolution", where=info.path, expected="metres, > 0", got=resolution_m
        )
    rows, cols = resolution_m / steps[0], resolution_m / steps[1]
    grid = replace(
        info,
        height=max(1, math.ceil(info.height / rows - 1e-6)),
        width=max(1, math.ceil(info.width / cols - 1e-6)),
        transform=tuple((info.affine @ Affine.scale(cols, rows))[:6]),
        resolution_m=resolution_m,
    )
    return grid, rows, cols


def check_same_grid(info: RasterInfo, like: RasterInfo) -> None:
    """Check that two rasters have the same pixel grid.

    Compare positions only if both rasters are georeferenced.

    Raises:
        RasterError: The size or CRS differs, or the transforms differ by more than 1/1000 pixel.
    """
    size, like_size = f"{info.height} x {info.width} px", f"{like.height} x {like.width} px"
    hint = f"It must have the same pixel grid as {like.path}."
    if size != like_size:
        raise RasterError("wrong size", where=info.path, expected=like_size, got=size, hint=hint)
    if not (info.is_georeferenced and like.is_georeferenced):
        return
    if info.crs and like.crs and not same_crs(info.crs, like):
        names = [crs_name(crs) for crs in (like.crs, info.crs)]
        raise RasterError("wrong CRS", where=info.path, expected=names[0], got=names[1], hint=hint)
    shift = _shift_px(~like.affine @ info.affine, info)
    if not shift <= _GRID_TOLERANCE_PX:
        raise RasterError(
            "wrong position or pixel size",
            where=info.path,
            expected=f"transform {like.transform}",
            got=f"{info.transform}, up to {shift:.3g} px away",
            hint=hint,
        )


def same_crs(crs: str, like: RasterInfo) -> bool:
    """Return whether a CRS (WKT) gives the corners of ``like`` the same position as its own CRS, to 1/100 pixel."""
    if like.crs is None:
        return False
    own, other = CRS.from_wkt(like.crs), CRS.from_wkt(crs)
    if own == other:
        return True
    elsewhere = _transform(own, other, apply_affine(like.affine, *_corners(like)))
    if elsewhere is None:
        return False
    cols, rows = apply_affine(~like.affine, *elsewhere)
    was_cols, was_rows = _corners(like)
    return bool(np.hypot(cols - was_cols, rows - was_rows).max() <= _CRS_TOLERANCE_PX)


def _corners(info: RasterInfo) -> _Coords:
    cols = np.array([0, info.width, 0, info.width], np.float64)
    rows = np.array([0, 0, info.height, info.height], np.float64)
    return cols, rows


def _shift_px(between: Affine, info: RasterInfo) -> float:
    cols, rows = _corners(info)
    moved_cols, moved_rows = apply_affine(between, cols, rows)
    return float(np.hypot(moved_cols - cols, moved_rows - rows).max())


def _nominal_steps(transform: Affine, crs: CRS) -> tuple[float, float] | None:
    if crs.is_geographic:
        return None
    try:
        metres = crs.linear_units_factor[1]
    except (RasterioError, CRSError):
        return None  # a CRS without a length unit, such as a local one
    return math.hypot(transform.b, transform.e) * metres, math.hypot(transform.a, transform.d) * metres


def _measured_steps(info: RasterInfo, crs: CRS) -> tuple[float, float] | None:
    middle_col, middle_row = info.width / 2, info.height / 2
    cols = middle_col + np.array([0, 0, -0.5, 0.5])
    rows = middle_row + np.array([-0.5, 0.5, 0, 0])
    degrees = _transform(crs, CRS.from_epsg(4326), apply_affine(info.affine, cols, rows))
    if degrees is None:
        return None
    lon, lat = degrees
    steps = _ellipsoid_m(lon[:2], lat[:2]), _ellipsoid_m(lon[2:], lat[2:])
    return steps if all(math.isfinite(s) and s > 0 for s in steps) else None


def _ellipsoid_m(lon: NDArray[np.float64], lat: NDArray[np.float64]) -> float:
    """Return the distance in metres of two close positions, from the radii of curvature at their midpoint."""
    middle = math.radians(float(lat.mean()))
    root = math.sqrt(1 - _WGS84_E2 * math.sin(middle) ** 2)
    north = math.radians(float(lat[1] - lat[0])) * _WGS84_RADIUS_M * (1 - _WGS84_E2) / root**3
    turn = (float(lon[1] - lon[0]) + 180) % 360 - 180
    east = math.radians(turn) * _WGS84_RADIUS_M / root * math.cos(middle)
    return math.hypot(north, east)


def _transform(source: CRS, target: CRS, places: _Coords) -> _Coords | None:
    try:
        out_x, out_y = warp_points(source, target, list(places[0]), list(places[1]))
    except (RasterioError, CPLE_BaseError):
        return None  # a local CRS has no transformation to others; the callers handle this
    out = np.array([out_x, out_y], np.float64)
    return (out[0], out[1]) if np.isfinite(out).all() else None
