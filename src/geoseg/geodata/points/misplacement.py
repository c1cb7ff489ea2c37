"""Explain why points lie outside the rasters: compare extents, and test common coordinate errors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError, ProjError

from geoseg.errors import PointsError
from geoseg.geodata.points.point_places import is_on, to_pixels
from geoseg.geodata.reading.crs import crs_name, transformer_between
from geoseg.geodata.reading.grids import RasterInfo

_Floats = NDArray[np.float64]
_Pair = tuple[_Floats, _Floats]

_DEGREES, _WEB_MERCATOR = "EPSG:4326", "EPSG:3857"
_MAX_CAUSES = 3
_MAX_ZONE_DISTANCE = 2


@dataclass(frozen=True)
class _Cause:
    """A possible error of the coordinates, and the corrected coordinates."""

    text: str
    xy: _Pair
    crs: str | None


def explain_misplaced(x: _Floats, y: _Floats, *, crs: str | None, rasters: Mapping[str, RasterInfo]) -> str:
    """Return sentences with the extents of points and rasters, and with corrections that move points onto a raster.

    Args:
        x: x coordinates (P,) of points outside all rasters, P > 0.
        y: y coordinates (P,) of the same points.
        crs: Their CRS; None if neither points nor rasters have one.
        rasters: The rasters by name.
    """
    extents = f"They lie at {_extent(x, y)} in {_named(crs)}; {_raster_extent(rasters, crs)}."
    counts = [
        (_count_inside(cause, rasters), cause.text) for cause in _causes(x, y, crs=crs, rasters=rasters)
    ]
    # The sort is stable: of causes with equal counts, the simplest comes first.
    likely = sorted((pair for pair in counts if pair[0]), key=lambda pair: -pair[0])[:_MAX_CAUSES]
    if not likely:
        return extents
    causes = "; ".join(
        f"{number:,} of {len(x):,} {text}" for number, text in likely if 2 * number >= likely[0][0]
    )
    return f"{extents} Points that would lie on a raster: {causes}."


def describe_extent(bounds: tuple[float, float, float, float]) -> str:
    """Return left, bottom, right and top as readable ranges of x and y."""
    left, bottom, right, top = bounds
    return f"x {_range(left, right)} and y {_range(bottom, top)}"


def _causes(
    x: _Floats, y: _Floats, *, crs: str | None, rasters: Mapping[str, RasterInfo]
) -> Iterator[_Cause]:
    yield _Cause("if x and y were swapped", (y, x), crs)
    if crs is None:
        yield _Cause("if y counted upwards (with the other sign)", (x, -y), None)
        yield _Cause("if x were rows and y were columns, counted downwards", (y, -x), None)
        return
    for other in _other_crs(crs, rasters):
        yield _Cause(f"if their CRS were {crs_name(other)}", (x, y), other)
        yield _Cause(f"if their CRS were {crs_name(other)} and x and y were swapped", (y, x), other)
    if CRS(crs).is_geographic:
        yield _Cause("if east and west were exchanged (the sign of x)", (-x, y), crs)
        yield _Cause("if north and south were exchanged (the sign of y)", (x, -y), crs)


def _other_crs(crs: str, rasters: Mapping[str, RasterInfo]) -> list[str]:
    """Return other likely CRS of points that are declared in ``crs``."""
    own = {info.crs: None for _, info in sorted(rasters.items()) if info.crs is not None}
    others = [*own, _DEGREES, _WEB_MERCATOR, *_near_utm_zones(crs)]
    names = {crs_name(other): other for other in reversed(others)}
    names.pop(crs_name(crs), None)
    return [other for other in dict.fromkeys(reversed(names.values())) if not _is_same(crs, other)]


def _near_utm_zones(crs: str) -> list[str]:
    """Return the codes of the UTM zones near that of a CRS, north and south; none for a CRS outside UTM."""
    zone = CRS(crs).utm_zone
    if zone is None:
        return []
    number = int(zone[:-1])
    distance = _MAX_ZONE_DISTANCE
    near = sorted(range(number - distance, number + distance + 1), key=lambda near: abs(near - number))
    return [f"EPSG:{side + (near - 1) % 60 + 1}" for near in near for side in (32600, 32700)]


def _is_same(crs: str, other: str) -> bool:
    try:
        return transformer_between(crs, other) is None
    except ProjError:
        return False


def _count_inside(cause: _Cause, rasters: Mapping[str, RasterInfo]) -> int:
    inside = np.zeros(len(cause.xy[0]), np.bool_)
    for raster in rasters.values():
        try:
            with np.errstate(all="ignore"):
                inside |= is_on(raster, *to_pixels(raster, *cause.xy, crs=cause.crs))
        except (PointsError, ProjError, CRSError):
            continue
    return int(inside.sum())


def _raster_extent(rasters: Mapping[str, RasterInfo], crs: str | None) -> str:
    """Return the extent of the rasters in the CRS of the first raster and in the CRS of the points."""
    first = rasters[min(rasters)]
    # A map may appear twice: under its own name and under the name of its raster.
    by_path = {info.path: info.bounds for info in rasters.values() if info.crs == first.crs}
    boxes = np.array(list(by_path.values()))
    bounds = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    subject = f"the raster {first.path.name} lies" if len(boxes) == 1 else f"the {len(boxes)} rasters lie"
    if crs is None and not first.is_georeferenced:
        return f"{subject} at {describe_extent((0, -bounds[3], bounds[2], 0))}, counted in pixels from its upper left corner"
    text = f"{subject} at {describe_extent(bounds)} in {_named(first.crs)}"
    transformed = None if crs is None or first.crs is None else _in_crs(bounds, first.crs, crs)
    return (
        text if transformed is None else f"{text}, which is {describe_extent(transformed)} in {_named(crs)}"
    )


def _in_crs(
    bounds: tuple[float, float, float, float], source: str, target: str
) -> tuple[float, float, float, float] | None:
    """Return bounds in another CRS; None if the CRS are the same or without a transformation."""
    try:
        transformer = transformer_between(source, target)
        transformed = None if transformer is None else transformer.transform_bounds(*bounds)
    except (ProjError, CRSError):
        return None
    return transformed if transformed is not None and np.isfinite(transformed).all() else None


def _extent(x: _Floats, y: _Floats) -> str:
    return describe_extent((float(x.min()), float(y.min()), float(x.max()), float(y.max())))


def _named(crs: str | None) -> str:
    return "no CRS" if crs is None else crs_name(crs)


def _range(low: float, high: float) -> str:
    decimals = 0 if max(abs(low), abs(high)) >= 1000 else 4 if high - low < 10 else 2
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}"
