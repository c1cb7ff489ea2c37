"""Why places lie outside rasters: where both are, and what would bring the places inside."""

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
_MOST_CAUSES = 3
_ZONES_AWAY = 2


@dataclass(frozen=True)
class _Cause:
    """A likely mistake, and the places as they are without it."""

    text: str
    places: _Pair
    crs: str | None


def explain_misplaced(x: _Floats, y: _Floats, *, crs: str | None, rasters: Mapping[str, RasterInfo]) -> str:
    """Return sentences on where places and rasters lie, and on what would bring the places on a raster.

    Args:
        x: Coordinates (P,) of places outside all rasters, P > 0.
        y: Coordinates (P,) likewise.
        crs: What they are in; None if nothing has a CRS.
        rasters: The rasters by name.
    """
    said = f"They lie at {_extent(x, y)} in {_named(crs)}; {_raster_extent(rasters, crs)}."
    counts = [
        (_count_inside(cause, rasters), cause.text) for cause in _causes(x, y, crs=crs, rasters=rasters)
    ]
    # The sort is stable: of causes that explain as much, the simplest comes first.
    likely = sorted((pair for pair in counts if pair[0]), key=lambda pair: -pair[0])[:_MOST_CAUSES]
    if not likely:
        return said
    causes = "; ".join(
        f"{number:,} of {len(x):,} {text}" for number, text in likely if 2 * number >= likely[0][0]
    )
    return f"{said} On a raster would lie: {causes}."


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
    """Return the CRS that places declared to be in ``crs`` may be in instead."""
    own = {info.crs: None for _, info in sorted(rasters.items()) if info.crs is not None}
    others = [*own, _DEGREES, _WEB_MERCATOR, *_near_utm_zones(crs)]
    names = {crs_name(other): other for other in reversed(others)}
    names.pop(crs_name(crs), None)
    return [other for other in dict.fromkeys(reversed(names.values())) if not _is_same(crs, other)]


def _near_utm_zones(crs: str) -> list[str]:
    """Return the codes of the UTM zones around that of a CRS, on both sides of the equator; none for another CRS."""
    zone = CRS(crs).utm_zone
    if zone is None:
        return []
    number = int(zone[:-1])
    near = sorted(range(number - _ZONES_AWAY, number + _ZONES_AWAY + 1), key=lambda near: abs(near - number))
    return [f"EPSG:{side + (near - 1) % 60 + 1}" for near in near for side in (32600, 32700)]


def _is_same(crs: str, other: str) -> bool:
    try:
        return transformer_between(crs, other) is None
    except ProjError:
        return False


def _count_inside(cause: _Cause, rasters: Mapping[str, RasterInfo]) -> int:
    inside = np.zeros(len(cause.places[0]), np.bool_)
    for raster in rasters.values():
        try:
            with np.errstate(all="ignore"):
                inside |= is_on(raster, *to_pixels(raster, *cause.places, crs=cause.crs))
        except (PointsError, ProjError, CRSError):
            continue
    return int(inside.sum())


def _raster_extent(rasters: Mapping[str, RasterInfo], crs: str | None) -> str:
    """Return where the rasters lie, in the CRS of the first and in that of the places."""
    first = rasters[min(rasters)]
    # A map may be known by two names: by its own, and by that of its raster.
    by_path = {info.path: info.bounds for info in rasters.values() if info.crs == first.crs}
    boxes = np.array(list(by_path.values()))
    bounds = (*boxes[:, :2].min(axis=0).tolist(), *boxes[:, 2:].max(axis=0).tolist())
    subject = f"the raster {first.path.name} lies" if len(boxes) == 1 else f"the {len(boxes)} rasters lie"
    if crs is None and not first.is_georeferenced:
        return f"{subject} at {describe_extent((0, -bounds[3], bounds[2], 0))}, counted in pixels from its upper left corner"
    said = f"{subject} at {describe_extent(bounds)} in {_named(first.crs)}"
    there = None if crs is None or first.crs is None else _in_crs(bounds, first.crs, crs)
    return said if there is None else f"{said}, which is {describe_extent(there)} in {_named(crs)}"


def _in_crs(
    bounds: tuple[float, float, float, float], source: str, target: str
) -> tuple[float, float, float, float] | None:
    """Return bounds in another CRS; None where they are the same or there is no way."""
    try:
        way = transformer_between(source, target)
        there = None if way is None else way.transform_bounds(*bounds)
    except (ProjError, CRSError):
        return None
    return there if there is not None and np.isfinite(there).all() else None


def _extent(x: _Floats, y: _Floats) -> str:
    return describe_extent((float(x.min()), float(y.min()), float(x.max()), float(y.max())))


def _named(crs: str | None) -> str:
    return "no CRS" if crs is None else crs_name(crs)


def _range(low: float, high: float) -> str:
    decimals = 0 if max(abs(low), abs(high)) >= 1000 else 4 if high - low < 10 else 2
    return f"{low:,.{decimals}f} to {high:,.{decimals}f}"
