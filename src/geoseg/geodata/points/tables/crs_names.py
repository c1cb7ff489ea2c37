"""Read coordinate reference systems given by users, and name them in messages."""

from __future__ import annotations

from pathlib import Path

from pyproj import CRS
from pyproj.exceptions import CRSError

from geoseg.errors import PointsError
from geoseg.geodata.reading.crs import crs_code

LON_LAT = "OGC:CRS84"


def read_crs(text: str, where: object) -> str:
    """Return a CRS as an authority code, or else as WKT; a plain number is an EPSG code.

    Raises:
        PointsError: The CRS does not exist.
    """
    stated = text.strip()
    try:
        crs = CRS.from_user_input(f"EPSG:{int(stated)}" if stated.isdigit() else stated)
    except CRSError as error:
        raise PointsError(
            "the CRS is not known", where=where, expected="a code such as EPSG:25832", got=stated
        ) from error
    return crs_code(crs) or str(crs.to_wkt())


def name_crs(text: str) -> str:
    """Return code and name of a CRS for a message, such as "EPSG:25832 (ETRS89 / UTM zone 32N)".

    Example:
        >>> name_crs("EPSG:4326")
        'EPSG:4326 (WGS 84)'
    """
    crs = CRS.from_user_input(text)
    authority = crs.to_authority(min_confidence=70)
    return f"{':'.join(authority)} ({crs.name})" if authority else str(crs.name)


def settle_crs(stated: str | None, declared: str | None, *, is_assumed: bool, where: Path) -> str | None:
    """Return the CRS of positions: the one given by the user, or else the one in the file.

    Args:
        stated: The CRS given by the user.
        declared: The CRS declared in the file.
        is_assumed: Whether the CRS of the file is only assumed (longitude and latitude, GeoJSON).
        where: The file.

    Raises:
        PointsError: The two differ, or the given CRS is not valid.
    """
    if stated is None:
        return declared
    crs = read_crs(stated, where="--crs")
    if declared is None or is_assumed or _is_same(crs, declared):
        return crs
    raise PointsError(
        "the file declares another CRS",
        where=where,
        expected=name_crs(crs),
        got=name_crs(declared),
        hint="Leave out --crs. If the file is wrong, assign the right CRS to it first (QGIS: Assign Projection).",
    )


def _is_same(one: str, other: str) -> bool:
    first, second = CRS.from_user_input(one), CRS.from_user_input(other)
    authority = first.to_authority(min_confidence=20)
    by_code = authority is not None and authority == second.to_authority(min_confidence=20)
    return by_code or bool(first.equals(second, ignore_axis_order=True))
