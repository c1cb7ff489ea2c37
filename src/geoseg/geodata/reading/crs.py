"""Coordinate reference systems: their names in messages, the ways between them, and where they repeat."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS, Transformer
from pyproj.exceptions import CRSError, ProjError

_LONGEST_NAME = 60
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
    """Return the name and code of a CRS, such as "WGS 84 / UTM zone 17N (EPSG:32617)", for messages.

    Args:
        crs: A CRS object, WKT, a PROJ string or a code; what is none is named by its first words.
    """
    if not crs:
        return "none"
    try:
        found = CRS.from_user_input(crs)
    except CRSError:
        return _shortened(str(crs))
    name = _shortened(found.name)
    authority = found.to_authority(min_confidence=100)
    return f"{name} ({':'.join(authority)})" if authority else name


def way_between(source: str, target: str) -> Transformer | None:
    """Return the way from one CRS to another, x before y; None if they are the same, as two local ones may be.

    Raises:
        ProjError: There is no way, or one of them is no CRS.
    """
    first, second = CRS.from_user_input(source), CRS.from_user_input(target)
    if first.is_engineering and second.is_engineering:
        # PROJ takes any two sites for one and the same.
        if _local_key(first) == _local_key(second):
            return None
        raise ProjError(f"{first.name} and {second.name} are local")
    if first.equals(second, ignore_axis_order=True):
        return None
    return Transformer.from_crs(first, second, always_xy=True)


@lru_cache(maxsize=16)
def full_turn(crs: str) -> float | None:
    """Return after how much x the Earth repeats itself: 360 in degrees, 40,075,017 in Web Mercator; None where it does not."""
    found = CRS.from_user_input(crs)
    if found.is_geographic:
        radians = float(found.axis_info[0].unit_conversion_factor)
        return 2 * math.pi / radians if radians > 0 else None
    method = "" if found.coordinate_operation is None else found.coordinate_operation.method_name.lower()
    if not any(word in method for word in _CYLINDRICAL) or any(word in method for word in _NOT_CYLINDRICAL):
        return None
    return _measured_turn(found)


def to_same_orientation(x: NDArray[np.float64], left: float, turn: float | None) -> NDArray[np.float64]:
    """Return x moved by whole turns to where it is at least ``left`` and less than a turn further."""
    return x if turn is None else x - turn * np.floor((x - left) / turn)


def _local_key(crs: CRS) -> tuple[str, list[float]]:
    """Return what tells local CRS apart. Formats lose their datum and the names of their axes."""
    name = crs.name.strip().lower()
    units = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    return ("" if name in _NAMELESS else name), units


def _measured_turn(crs: CRS) -> float | None:
    base = crs.geodetic_crs
    if base is None:
        return None
    steps = np.arange(4.0)
    try:
        x, _ = Transformer.from_crs(base, crs, always_xy=True).transform(steps, 0 * steps)
    except ProjError:
        return None
    # The median: between two of the places may lie the edge of the map.
    a_turn = 2 * math.pi / float(base.axis_info[0].unit_conversion_factor)
    turn = abs(float(np.median(np.diff(x)))) * a_turn
    return turn if math.isfinite(turn) and turn > 0 else None


def _shortened(text: str) -> str:
    text = " ".join(text.split()) or "unnamed"
    return text if len(text) <= _LONGEST_NAME else text[: _LONGEST_NAME - 3] + "..."
