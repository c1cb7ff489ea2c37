"""Read published error matrices from text tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from geoseg.domain.legend import Legend, legend_from_names, normalise_name
from geoseg.errors import PointsError
from geoseg.geodata.points.tables.delimited import read_delimited
from geoseg.geodata.points.tables.number_texts import find_decimal_mark, read_numbers

_Floats = NDArray[np.float64]
PIXELS = "pixels"
_FORM = "the map class, one column for each reference class, and the column pixels"


@dataclass(frozen=True)
class ErrorMatrix:
    """An error matrix.

    Attributes:
        legend: All classes: those of the rows, then those of the columns alone.
        map_class: Class id (R,) of each row.
        counts: Sampled pixels (R, C), reference class in columns.
        pixels: Pixels of the map (R,).
    """

    legend: Legend
    map_class: NDArray[np.int64]
    counts: _Floats
    pixels: _Floats


def read_error_matrix(path: Path) -> ErrorMatrix:
    """Read a matrix: first column the map class, one column for each reference class, last column ``pixels``.

    Class names of rows and columns are compared without case and outer blanks.

    Raises:
        PointsError: The file cannot be read, a column is missing, a cell is no count, or a class repeats.
    """
    path = Path(path)
    if not path.is_file():
        raise PointsError("no such file", where=path, hint="Check the path.")
    table, _, _ = read_delimited(path)
    names = [str(name).strip() for name in table.columns]
    if len(names) < 3 or normalise_name(names[-1]) != PIXELS:
        raise PointsError(
            "this is not an error matrix", where=path, expected=_FORM, got=f"columns {', '.join(names)}"
        )
    if not len(table):
        raise PointsError("the error matrix has no row", where=path)
    rows = [str(text).strip() for text in table.iloc[:, 0]]
    for what, found in (("row", rows), ("column", names[1:-1])):
        _check_unique(found, what, path)
    counts = np.column_stack([_counts(table, k, path) for k in range(1, len(names) - 1)])
    pixels = _counts(table, len(names) - 1, path)
    own = {normalise_name(name) for name in rows}
    legend = legend_from_names([*rows, *(name for name in names[1:-1] if normalise_name(name) not in own)])
    place = {normalise_name(name): k for k, name in enumerate(legend.names)}
    placed = np.zeros((len(rows), len(legend)))
    placed[:, [place[normalise_name(name)] for name in names[1:-1]]] = counts
    _check_sizes(rows, placed.sum(axis=1), pixels, path=path)
    return ErrorMatrix(legend, np.arange(len(rows)), placed, pixels)


def _check_unique(names: list[str], what: str, path: Path) -> None:
    keys = [normalise_name(name) for name in names]
    wrong = sorted(
        {
            name or "an empty name"
            for name, key in zip(names, keys, strict=True)
            if keys.count(key) > 1 or not key
        }
    )
    if wrong:
        raise PointsError(f"each {what} needs a class of its own", where=path, got=", ".join(wrong))


def _counts(table: pd.DataFrame, column: int, path: Path) -> _Floats:
    name = str(table.columns[column])
    texts = [str(text) for text in table.iloc[:, column]]
    where = f"{path}, column {name!r}"
    try:
        values = read_numbers(texts, find_decimal_mark(texts) or ".")
    except ValueError as error:
        raise PointsError("a cell is not a number", where=where, got=repr(str(error))) from error
    wrong = [text or "an empty cell" for text, v in zip(texts, values, strict=True) if not v >= 0 or v % 1]
    if wrong:
        raise PointsError("a cell is not a count", where=where, expected="whole numbers from 0", got=wrong[0])
    return values


def _check_sizes(rows: list[str], sampled: _Floats, pixels: _Floats, *, path: Path) -> None:
    for name, count, size in zip(rows, sampled, pixels, strict=True):
        if count > size:
            raise PointsError(
                f"the map class {name!r} has more sampled pixels than pixels",
                where=path,
                expected=f"at most {size:,.0f}",
                got=f"{count:,.0f}",
            )
        if size and not count:
            raise PointsError(
                f"the map class {name!r} has pixels, but no sampled pixel, so nothing is known about them",
                where=path,
                hint="Sample it, or join it with another class.",
            )
    if not sampled.sum():
        raise PointsError("the error matrix has no sampled pixel", where=path)
