"""Compute ground areas of pixels on the ellipsoid of the raster's CRS."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

from geoseg.domain.windows import Window
from geoseg.geodata.reading.grids import RasterInfo, apply_affine

_Floats = NDArray[np.float64]

_NOMINAL_TOLERANCE = 1e-3
_SAMPLES_PER_SIDE = 9
# Maximum distance of samples; areas between them are interpolated. The error is below 1e-4 up to 85 degrees latitude
# in Web Mercator.
_MAX_SPACING_PX, _MAX_SPACING_M = 32, 20_000.0


def pixel_areas_m2(info: RasterInfo, window: Window) -> _Floats | None:
    """Return the ground area of each pixel of a window, in square metres.

    Areas are measured on the ellipsoid. If the projected area agrees within 0.1 % all over the raster, it is used
    instead, so that a pixel of 1 m x 1 m has an area of 1 m2. A pixel outside the Earth has area 0.

    Args:
        info: The raster.
        window: Rows and columns, inside or outside the raster.

    Returns:
        Areas in a shape that broadcasts to (h, w): (1, 1), (h, 1) or (h, w). None without a CRS, or with a CRS without
        longitude and latitude and without a length unit.
    """
    crs = None if info.crs is None else _usable_crs(info.crs)
    if crs is None or info.crs is None:
        return None
    nominal = _nominal_m2(info, crs)
    if _lon_lat_transformer(info.crs) is None:
        return None if nominal is None else np.full((1, 1), nominal)
    if nominal is not None and _agrees(info, nominal):
        return np.full((1, 1), nominal)
    if crs.is_geographic and not crs.is_derived and info.affine.b == info.affine.d == 0:
        return _row_areas(info, crs, window)
    return _cell_areas(info, window)


@lru_cache(maxsize=16)
def _usable_crs(wkt: str) -> CRS | None:
    """Return a CRS if its units and ellipsoid have positive sizes; None otherwise, as in damaged files."""
    try:
        crs = CRS(wkt)
    except CRSError:
        return None
    sizes = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    sizes += [crs.ellipsoid.semi_major_metre, crs.ellipsoid.semi_minor_metre] if crs.ellipsoid else []
    return crs if sizes and all(math.isfinite(size) and size > 0 for size in sizes) else None


def _nominal_m2(info: RasterInfo, crs: CRS) -> float | None:
    """Return the projected area of a pixel in square metres; None for geographic and geocentric CRS."""
    if crs.is_geographic or crs.is_geocentric:
        return None
    metres = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    return abs(info.affine.determinant) * math.prod(metres)


def _agrees(info: RasterInfo, nominal: float) -> bool:
    """Return whether the known ground areas at samples of the raster equal ``nominal`` within 0.1 %."""
    rows = np.linspace(0, info.height - 1, _SAMPLES_PER_SIDE)
    cols = np.linspace(0, info.width - 1, _SAMPLES_PER_SIDE)
    found = _areas_at(info, *np.meshgrid(rows, cols, indexing="ij"))
    known = found[np.isfinite(found)]
    return bool((np.abs(known / nominal - 1) <= _NOMINAL_TOLERANCE).all())


def _row_areas(info: RasterInfo, crs: CRS, window: Window) -> _Floats:
    """Return the exact areas (h, 1) of cells between meridians and parallels."""
    radians = crs.axis_info[0].unit_conversion_factor
    edges = info.affine.f + info.affine.e * (window.row + np.arange(window.height + 1))
    authalic = _authalic(np.clip(edges * radians, -math.pi / 2, math.pi / 2), *_ellipsoid(crs))
    areas: _Floats = abs(info.affine.a) * radians * np.abs(np.diff(authalic))
    return areas[:, None]


def _cell_areas(info: RasterInfo, window: Window) -> _Floats:
    """Return the areas (h, w) of cells of any shape. Small cells are interpolated between samples."""
    pixel_m = info.resolution_m or _MAX_SPACING_M
    spacing = int(np.clip(_MAX_SPACING_M // pixel_m, 1, _MAX_SPACING_PX))
    rows, cols = (_samples(start, size, spacing) for start, size in _sides(window))
    areas = np.nan_to_num(_areas_at(info, *np.meshgrid(rows, cols, indexing="ij")))
    row_at, col_at = (np.arange(start, start + size, dtype=np.float64) for start, size in _sides(window))
    across = np.stack([np.interp(col_at, cols, line) for line in areas])
    return np.stack([np.interp(row_at, rows, line) for line in across.T], axis=1)


def _sides(window: Window) -> tuple[tuple[int, int], tuple[int, int]]:
    return (window.row, window.height), (window.col, window.width)


def _samples(start: int, size: int, spacing: int) -> _Floats:
    """Return positions at multiples of ``spacing`` among ``size`` pixels from ``start``, and the two end positions."""
    inner = np.arange(-(-start // spacing) * spacing, start + size, spacing, dtype=np.float64)
    return np.unique(np.concatenate([[start], inner, [start + size - 1]])) if size else inner


def _areas_at(info: RasterInfo, row: _Floats, col: _Floats) -> _Floats:
    """Return the ground areas of pixels at rows and columns of any shape; NaN for a pixel outside the Earth.

    The corners are projected to the equal-area plane around the nearer pole; the cell is a quadrilateral there.
    """
    assert info.crs is not None
    way = _lon_lat_transformer(info.crs)
    assert way is not None
    transformer, radians = way
    corners = np.array([(0, 0), (0, 1), (1, 1), (1, 0)], np.float64)
    x, y = apply_affine(info.affine, col[..., None] + corners[:, 1], row[..., None] + corners[:, 0])
    with np.errstate(all="ignore"):
        lon, lat = transformer.transform(x, y)
    is_known = np.isfinite(lon) & np.isfinite(lat)
    lon, lat = np.where(is_known, lon * radians, 0.0), np.where(is_known, lat * radians, 0.0)
    lat = np.clip(lat, -math.pi / 2, math.pi / 2)
    lat = np.where(lat.mean(axis=-1, keepdims=True) < 0, -lat, lat)
    east, north = _polar(lon, lat, _ellipsoid(CRS(info.crs)))
    # Subtract the first corner, because large coordinates would lose the precision of small pixels.
    east, north = east - east[..., :1], north - north[..., :1]
    around = east * np.roll(north, -1, axis=-1) - north * np.roll(east, -1, axis=-1)
    return np.where(is_known.all(axis=-1), np.abs(around.sum(axis=-1)) / 2, np.nan)


def _polar(lon: _Floats, lat: _Floats, ellipsoid: tuple[float, float]) -> tuple[_Floats, _Floats]:
    """Project to the Lambert azimuthal equal-area plane around the north pole."""
    pole = _authalic(np.array(math.pi / 2), *ellipsoid)
    radius = np.sqrt(2 * np.maximum(pole - _authalic(lat, *ellipsoid), 0))
    return radius * np.sin(lon), radius * np.cos(lon)


def _authalic(lat: _Floats, major_m: float, e2: float) -> _Floats:
    """Return the area in square metres between the equator and a latitude in radians, per radian of longitude.

    Snyder (1987), Map Projections: A Working Manual, equation 3-12, times half of the squared major axis.
    """
    sine = np.sin(lat)
    if e2 == 0:
        return major_m**2 * sine
    e = math.sqrt(e2)
    return major_m**2 * (1 - e2) / 2 * (sine / (1 - e2 * sine**2) + np.arctanh(e * sine) / e)


@lru_cache(maxsize=16)
def _ellipsoid(crs: CRS) -> tuple[float, float]:
    """Return the semi-major axis in metres and the squared eccentricity."""
    ellipsoid = crs.ellipsoid
    assert ellipsoid is not None
    major, minor = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    return major, 1 - (minor / major) ** 2


@lru_cache(maxsize=16)
def _lon_lat_transformer(wkt: str) -> tuple[Transformer, float] | None:
    """Return the transformer from a CRS to longitude and latitude on its ellipsoid, and their unit in radians.

    None for a CRS without this transformation, such as a local one.
    """
    crs = CRS(wkt)
    base = crs.source_crs if crs.is_geographic and crs.is_derived else crs.geodetic_crs
    if base is None or crs.is_geocentric or crs.ellipsoid is None:
        return None
    try:
        return Transformer.from_crs(crs, base, always_xy=True), base.axis_info[0].unit_conversion_factor
    except (ProjError, CRSError):
        return None
