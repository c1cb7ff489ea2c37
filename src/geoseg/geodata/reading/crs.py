"""Coordinate reference systems: names for messages, transformations, and the period of x around the Earth."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

_MAX_NAME_LENGTH = 60
_CYLINDRICAL = (
    "mercator",
    "equidistant cylindrical",
    "plate carr",
    "cylindrical equal area",
    "miller cylindrical",
)
_NAMELESS = ("unknown", "unnamed", "undefined", "unknown engineering crs")
_NOT_CYLINDRICAL = ("transverse", "oblique")

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


def crs_name(crs: object) -> str:
    """Return the name and code of a CRS for messages, such as "WGS 84 / UTM zone 17N (EPSG:32617)".

    Args:
        crs: A CRS object, WKT, a PROJ string or a code. An invalid text is returned shortened.
    """
    if not crs:
        return "none"
    try:
        found = CRS.from_user_input(crs)
    except CRSError:
        return _shortened(str(crs))
    name, code = _shortened(found.name), crs_code(found)
    return f"{name} ({code})" if code else name


def crs_code(crs: CRS) -> str | None:
    """Return the code of a CRS, such as "EPSG:32617"; None if it has none."""
    return _code_of_wkt(crs.to_wkt())


@lru_cache(maxsize=64)
def _code_of_wkt(wkt: str) -> str | None:
    # PROJ compares a CRS without a code with all that it knows, which takes up to half a second.
    authority = CRS.from_wkt(wkt).to_authority(min_confidence=100)
    return ":".join(authority) if authority else None


@lru_cache(maxsize=64)
def transformer_between(source: str, target: str) -> Transformer | None:
    """Return the transformer from one CRS to another, in x, y order; None if they are the same.

    Two local CRS are the same if name and units are equal.

    Raises:
        ProjError: There is no transformation, or one of them is not a CRS.
    """
    first, second = CRS.from_user_input(source), CRS.from_user_input(target)
    if first.is_engineering and second.is_engineering:
        # PROJ treats any two local CRS as equal.
        if _local_key(first) == _local_key(second):
            return None
        raise ProjError(f"{first.name} and {second.name} are local")
    if first.equals(second, ignore_axis_order=True):
        return None
    return Transformer.from_crs(first, second, always_xy=True)


@lru_cache(maxsize=16)
def x_period(crs: str) -> float | None:
    """Return the period of x: 360 in degrees, 40,075,017 in Web Mercator; None if x is not periodic."""
    found = CRS.from_user_input(crs)
    if found.is_geographic:
        radians = float(found.axis_info[0].unit_conversion_factor)
        return 2 * math.pi / radians if radians > 0 else None
    method = "" if found.coordinate_operation is None else found.coordinate_operation.method_name.lower()
    if not any(word in method for word in _CYLINDRICAL) or any(word in method for word in _NOT_CYLINDRICAL):
        return None
    return _measured_period(found)


def wrap_x(x: NDArray[np.float64], left: float, turn: float | None) -> NDArray[np.float64]:
    """Shift x by whole periods to the range from ``left`` to ``left`` + ``turn``."""
    return x if turn is None else x - turn * np.floor((x - left) / turn)


def _local_key(crs: CRS) -> tuple[str, list[float]]:
    """Return name and units, which distinguish local CRS. File formats lose their datum and axis names."""
    name = crs.name.strip().lower()
    units = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    return ("" if name in _NAMELESS else name), units


def _measured_period(crs: CRS) -> float | None:
    base = crs.geodetic_crs
    if base is None:
        return None
    steps = np.arange(4.0)
    try:
        x, _ = Transformer.from_crs(base, crs, always_xy=True).transform(steps, 0 * steps)
    except ProjError:
        return None
    # Use the median, because the edge of the map may lie between two of the longitudes.
    a_turn = 2 * math.pi / float(base.axis_info[0].unit_conversion_factor)
    turn = abs(float(np.median(np.diff(x)))) * a_turn
    return turn if math.isfinite(turn) and turn > 0 else None


def _shortened(text: str) -> str:
    text = " ".join(text.split()) or "unnamed"
    return text if len(text) <= _MAX_NAME_LENGTH else text[: _MAX_NAME_LENGTH - 3] + "..."
