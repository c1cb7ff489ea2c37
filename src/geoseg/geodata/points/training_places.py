"""Record the locations of training points, and recognise training points among other points."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # rasterio publishes no other name for GDAL's own errors
from rasterio.crs import CRS
from rasterio.errors import CRSError, RasterioError
from rasterio.warp import transform as warp_points

from geoseg.domain.points import Points
from geoseg.domain.training_places import (
    METRES_PER_DEGREE,
    STEP_PX,
    TrainingPlaces,
    near,
    near_degrees,
    rounding,
)
from geoseg.geodata.reading.grids import RasterInfo

_Floats = NDArray[np.float64]

OF_THIS_MAP = ""
"""Image name of locations in the pixels of the map itself."""
_LON_LAT = CRS.from_epsg(4326)
_SAME_PX = 0.75
"""Points closer than this, in pixels, are the same: half the diagonal of a pixel, and a margin."""
_ROUNDED = math.sqrt(0.5)
_CHANCE_FACTOR = 2.0
_MIN_SHARE = 0.05


def places_of(points: Points, rasters: Mapping[str, RasterInfo], sha256: str) -> TrainingPlaces:
    """Return the locations of points, in degrees if the CRS of their raster allows, else in its pixels."""
    lon_lat, pixels, steps = [np.zeros((0, 2))], dict[str, _Floats](), [0.0]
    for image in np.unique(points.image).tolist():
        own, info = points.on_image(image), rasters[image]
        degrees = _degrees(info, own)
        if degrees is None:
            pixels[image] = np.column_stack([own.row, own.col])
        else:
            lon_lat.append(degrees)
            steps.append(STEP_PX * (info.resolution_m or 0) / METRES_PER_DEGREE)
    return TrainingPlaces(sha256, len(points), np.concatenate(lon_lat), pixels, max(steps))


def places_on(places: TrainingPlaces, info: RasterInfo, image: str) -> TrainingPlaces:
    """Return the locations on a raster; those in pixels under the image name ``OF_THIS_MAP``."""
    inside = np.zeros(len(places.lon_lat), np.bool_)
    if info.crs is not None and len(inside):
        transformed = _transform(_LON_LAT, CRS.from_wkt(info.crs), places.lon_lat)
        if transformed is not None:
            row, col = info.xy_to_rowcol(transformed[:, 0], transformed[:, 1])
            inside = (row >= -1) & (row < info.height) & (col >= -1) & (col < info.width)
    own = places.pixels.get(image)
    return replace(places, lon_lat=places.lon_lat[inside], pixels={} if own is None else {OF_THIS_MAP: own})


def training_pixels(
    places: TrainingPlaces, info: RasterInfo, image: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows and columns of the pixels of a raster whose centres :func:`is_training_point` would recognise."""
    known = [places.pixels.get(image, places.pixels.get(OF_THIS_MAP, np.zeros((0, 2))))]
    radius = _SAME_PX + _ROUNDED * STEP_PX
    if info.crs is not None and len(places.lon_lat):
        transformed = _transform(_LON_LAT, CRS.from_wkt(info.crs), places.lon_lat)
        if transformed is not None and info.resolution_m:
            known.append(np.column_stack(info.xy_to_rowcol(transformed[:, 0], transformed[:, 1])))
            radius = max(radius, _SAME_PX + _ROUNDED * places.step * METRES_PER_DEGREE / info.resolution_m)
    centres = np.concatenate(known)
    reach = math.ceil(radius)
    steps = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 2, indexing="ij"), axis=-1).reshape(-1, 2)
    pixels = np.round(centres)[:, None] + steps
    is_near = np.linalg.norm(pixels - centres[:, None], axis=-1) < radius
    found = np.unique(pixels[is_near].astype(np.int64), axis=0)
    inside = ((found >= 0) & (found < (info.height, info.width))).all(axis=1)
    return found[inside, 0], found[inside, 1]


def count_places(places: TrainingPlaces) -> int:
    """Return the number of known locations; several points may share one."""
    return len(places.lon_lat) + sum(map(len, places.pixels.values()))


def is_training_point(
    points: Points, places: TrainingPlaces, rasters: Mapping[str, RasterInfo], *, rounding_m: float
) -> NDArray[np.bool_]:
    """Return for each point (P,) whether it is a training point.

    Two points are the same if they lie within about a pixel. A larger distance, up to the rounding error of the file,
    is allowed if it finds clearly more points than expected by chance.

    Args:
        points: The points.
        places: Locations of the training points.
        rasters: The rasters of the points by name.
        rounding_m: Rounding step of the coordinates of the points, in metres (pixels without a CRS).
    """
    found = np.zeros(len(points), np.bool_)
    for image in np.unique(points.image).tolist():
        own, info = points.image == image, rasters[image]
        degrees = _degrees(info, points.take(own))
        if degrees is not None:
            strict = _SAME_PX * (info.resolution_m or 0) + _ROUNDED * places.step * METRES_PER_DEGREE
            wide = strict + _ROUNDED * rounding_m
            found[own] = _find_known(places.lon_lat, degrees, strict=strict, wide=wide, in_degrees=True)
            continue
        known = places.pixels.get(image, places.pixels.get(OF_THIS_MAP))
        if known is not None:
            candidates = np.column_stack([points.row[own], points.col[own]])
            strict = _SAME_PX + _ROUNDED * STEP_PX
            wide = strict + _ROUNDED * rounding_m
            found[own] = _find_known(known, candidates, strict=strict, wide=wide, in_degrees=False)
    return found


def coordinate_step(xy: tuple[_Floats, _Floats] | None, crs: str | None) -> float:
    """Return the rounding step of map coordinates, in metres (in their own unit without a CRS)."""
    if xy is None:
        return 0.0
    step = rounding(np.concatenate(xy))
    try:
        is_geographic = crs is not None and CRS.from_user_input(crs).is_geographic
    except (CRSError, CPLE_BaseError):
        return 0.0
    return step * METRES_PER_DEGREE if is_geographic else step


def _find_known(
    known: _Floats, candidates: _Floats, *, strict: float, wide: float, in_degrees: bool
) -> NDArray[np.bool_]:
    """Return the candidates within the wide radius if they are clearly more than by chance, else the strict radius."""
    within = near_degrees if in_degrees else near
    same = within(known, candidates, strict)
    if wide <= strict or not len(known):
        return same
    rounded = within(known, candidates, wide)
    extent = np.ptp(np.concatenate([known, candidates]), axis=0) * (METRES_PER_DEGREE if in_degrees else 1.0)
    if in_degrees:
        extent[0] *= math.cos(math.radians(float(np.median(known[:, 1]))))
    area = max(float(np.prod(np.maximum(extent, wide))), wide * wide)
    by_chance = min(1.0, len(known) * math.pi * wide * wide / area)
    is_copy = rounded.mean() > min(0.9, _CHANCE_FACTOR * by_chance + _MIN_SHARE)
    return rounded if is_copy else same


def _degrees(info: RasterInfo, points: Points) -> _Floats | None:
    """Return longitude and latitude (P, 2) of points on a raster; None if its CRS has no transformation to them."""
    if info.crs is None:
        return None
    x, y = info.rowcol_to_xy(points.row, points.col)
    return _transform(CRS.from_wkt(info.crs), _LON_LAT, np.column_stack([x, y]))


def _transform(source: CRS, target: CRS, places: _Floats) -> _Floats | None:
    try:
        x, y = warp_points(source, target, places[:, 0].tolist(), places[:, 1].tolist())
    except (RasterioError, CPLE_BaseError):
        return None
    transformed = np.column_stack([x, y]).astype(np.float64)
    return transformed if np.isfinite(transformed).all() else None
