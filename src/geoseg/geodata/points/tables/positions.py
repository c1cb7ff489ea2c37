"""Find the position columns of a table by the names that GIS programs use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoseg.errors import PointsError
from geoseg.geodata.points.tables.crs_names import LON_LAT, read_crs, settle_crs
from geoseg.geodata.points.tables.number_texts import find_decimal_mark, is_empty, read_numbers

_MAP_PAIRS = (
    *(("x", "y"), ("xcoord", "ycoord"), ("coordx", "coordy"), ("pointx", "pointy"), ("xutm", "yutm")),
    *(("utmx", "utmy"), ("easting", "northing"), ("east", "north"), ("utme", "utmn"), ("e", "n")),
    *(("rechtswert", "hochwert"), ("ostwert", "nordwert"), ("ost", "nord"), ("coords.x1", "coords.x2")),
)
_DEGREE_PAIRS = (
    *(("lon", "lat"), ("longitude", "latitude"), ("long", "lat"), ("lng", "lat"), ("longitud", "latitud")),
    *(("decimallongitude", "decimallatitude"), ("longitudine", "latitudine"), ("länge", "breite")),
    *(("laenge", "breite"), ("längengrad", "breitengrad")),
)
_WKT = ("wkt", "wkt_geom", "geometry", "geom", "the_geom", "shape", "geometrie", "wkb_geometry")
_CRS = ("crs", "srs", "epsg", "srid")
_WORD = re.compile(r"[\W_]+")
_HEX = re.compile(r"(?:[0-9a-fA-F]{2}){9,}")

_MINUTES = re.compile(r"\d\s*[°º:d]\s*\d")


@dataclass(frozen=True)
class Positions:
    """Geometries of P rows (P,), None for a row without one, and their CRS, None if not declared."""

    geometry: NDArray[np.object_]
    crs: str | None


def find_columns(names: Iterable[str]) -> tuple[tuple[str, str] | None, tuple[str, str] | None]:
    """Return the column pair of map coordinates and that of degrees; None if there is none.

    Example:
        >>> find_columns(["POINT_X", "POINT_Y", "class"])
        (('POINT_X', 'POINT_Y'), None)
    """
    known = list(names)
    return _find_pair(known, _MAP_PAIRS), _find_pair(known, _DEGREE_PAIRS)


def find_positions(columns: pd.DataFrame, path: Path, stated_crs: str | None) -> Positions | None:
    """Return the positions in the columns of a table, or None without position columns.

    Map coordinates come before longitude and latitude, unless they have no CRS. A WKT column comes last.

    Args:
        columns: The table, all texts.
        path: The file, for errors.
        stated_crs: The CRS given by the user.

    Raises:
        PointsError: A cell is not a number or a geometry, or the CRS is unknown.
    """
    in_map, in_degrees = find_columns(columns.columns)
    column_crs = _column_crs(columns, path)
    if in_map and (column_crs or stated_crs or not in_degrees):
        crs = settle_crs(stated_crs, column_crs, is_assumed=False, where=path)
        return Positions(_points(*_floats(columns, in_map, path)), crs)
    if in_degrees:
        x, y = _floats(columns, in_degrees, path, are_degrees=True)
        crs = settle_crs(stated_crs, column_crs or LON_LAT, is_assumed=column_crs is None, where=path)
        if crs == LON_LAT:
            _check_degrees(x, y, in_degrees, path=path)
        return Positions(_points(x, y), crs)
    wkt = _find(columns.columns, _WKT)
    if wkt is None:
        return None
    geometry, srid = _geometries(columns[wkt].tolist(), f"{path}, column {wkt!r}")
    declared = column_crs or (f"EPSG:{srid}" if srid else None)
    return Positions(geometry, settle_crs(stated_crs, declared, is_assumed=False, where=path))


def _find_pair(names: Sequence[str], pairs: Sequence[tuple[str, str]]) -> tuple[str, str] | None:
    """Return the first column pair with the names of a pair, also with additional words (x_25832, y_25832)."""
    words_of = {name: tuple(filter(None, _WORD.split(name.lower()))) for name in names}
    joined: Mapping[str, str] = {"".join(words): name for name, words in reversed(words_of.items())}
    exact = {name.lower().strip(): name for name in reversed(names)}
    for x, y in pairs:
        for by_name in (exact, joined):
            if x in by_name and y in by_name:
                return by_name[x], by_name[y]
    by_words = {words: name for name, words in reversed(words_of.items())}
    for x, y in pairs:
        for name, words in words_of.items():
            partner = tuple(y if word == x else word for word in words)
            if x in words and partner in by_words:
                return name, by_words[partner]
    return None


def _find(names: Iterable[str], wanted: Sequence[str]) -> str | None:
    by_name = {name.lower().strip(): name for name in names}
    return next((by_name[name] for name in wanted if name in by_name), None)


def _column_crs(columns: pd.DataFrame, path: Path) -> str | None:
    name = _find(columns.columns, _CRS)
    if name is None:
        return None
    named = sorted({text.strip() for text in columns[name] if not is_empty(text)})
    if len(named) > 1:
        raise PointsError(
            "invalid values in a column",
            where=f"{path}, column {name!r}",
            expected="one CRS for all points",
            got=", ".join(map(repr, named)),
        )
    if not named:
        return None
    return read_crs(named[0], where=f"{path}, column {name!r}")


def _floats(
    columns: pd.DataFrame, names: tuple[str, str], path: Path, *, are_degrees: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, second = ([str(text) for text in columns[name]] for name in names)
    mark = find_decimal_mark([*first, *second])
    if mark is None and not are_degrees:
        raise PointsError(
            "the comma in the coordinates is ambiguous: decimal mark or thousands separator",
            where=f"{path}, columns {names[0]!r} and {names[1]!r}",
            got=next(text for text in [*first, *second] if "," in text),
            hint="Write the numbers with a decimal point and without thousands separators.",
        )
    mark = mark or ","
    return (
        _column_floats(first, names[0], mark=mark, path=path),
        _column_floats(second, names[1], mark=mark, path=path),
    )


def _column_floats(texts: list[str], name: str, *, mark: str, path: Path) -> NDArray[np.float64]:
    try:
        return read_numbers(texts, mark)
    except ValueError as error:
        raise PointsError(
            "invalid values in a column",
            where=f"{path}, column {name!r}",
            expected="numbers, such as 9.1234 or 500123.5",
            got=f"{str(error)!r} in row {texts.index(str(error)) + 1}",
            hint="Write degrees, minutes and seconds as decimal degrees."
            if _MINUTES.search(str(error))
            else "Correct the cell, or leave it empty to drop the point.",
        ) from error


def _check_degrees(
    x: NDArray[np.float64], y: NDArray[np.float64], names: tuple[str, str], *, path: Path
) -> None:
    wrong = (np.abs(x) > 360) | (np.abs(y) > 90)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        raise PointsError(
            "these are not degrees",
            where=f"{path}, columns {names[0]!r} and {names[1]!r}",
            expected="longitudes of -180..180 (or 0..360) and latitudes of -90..90",
            got=f"{x[at]:g}, {y[at]:g}",
            hint="If they are map coordinates, give their CRS (--crs). If longitude and latitude are swapped, "
            "rename the columns.",
        )


def _points(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.object_]:
    known = np.isfinite(x) & np.isfinite(y)
    geometry = np.full(len(x), None, dtype=object)
    geometry[known] = shapely.points(x[known], y[known])
    return geometry


def _geometries(cells: list[str], where: str) -> tuple[NDArray[np.object_], int]:
    """Return geometries from WKT, EWKT or hexadecimal WKB, and their EPSG code; 0 without one."""
    geometry = np.full(len(cells), None, dtype=object)
    srid = 0
    for index, cell in enumerate(cells):
        if is_empty(cell):
            continue
        prefix, mark, text = cell.strip().rpartition(";")
        number = re.fullmatch(r"(?i)srid=(\d+)", prefix.strip())
        srid = int(number[1]) if number else srid
        try:
            shape = (
                shapely.from_wkb(cell)
                if _HEX.fullmatch(cell.strip())
                else shapely.from_wkt(text if mark else cell)
            )
        except (shapely.errors.GEOSException, ValueError) as error:
            raise PointsError(
                "a geometry cannot be read",
                where=where,
                expected="WKT, such as POINT (9.1 48.5)",
                got=repr(cell[:60]),
            ) from error
        geometry[index] = shape
        srid = srid or int(shapely.get_srid(shape))
    return geometry, srid
