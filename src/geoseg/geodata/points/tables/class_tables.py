"""Read a table of new class names."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from geoseg.domain.class_tables import ClassTable
from geoseg.domain.legend import normalise_name
from geoseg.errors import PointsError
from geoseg.geodata.points.tables.delimited import read_delimited


def read_class_table(path: Path) -> ClassTable:
    """Read a text table with the columns ``from`` and ``to``; an empty ``to`` leaves the class out.

    Raises:
        PointsError: The file cannot be read, lacks a column, or gives one class two new names.
    """
    if not path.is_file():
        raise PointsError("no such class table", where=path, expected="a CSV file with columns from and to")
    columns, _, _ = read_delimited(path)
    by_name = {str(name).strip().lower(): str(name) for name in columns.columns}
    if not {"from", "to"} <= by_name.keys():
        raise PointsError(
            "the class table lacks a column",
            where=path,
            expected="columns from and to",
            got=f"columns {', '.join(map(str, columns.columns))}",
        )
    named = defaultdict[str, dict[str, None]](dict)
    for old, new in zip(columns[by_name["from"]].tolist(), columns[by_name["to"]].tolist(), strict=True):
        if old.strip():
            named[normalise_name(old)][new.strip()] = None
    for old, new_names in named.items():
        if len(new_names) > 1:
            got = " and ".join(repr(name) for name in new_names)
            raise PointsError(
                "the class table gives one class two names", where=path, got=f"{got} for {old!r}"
            )
    if not named:
        raise PointsError("the class table is empty", where=path, expected="a class in the column from")
    return ClassTable({old: next(iter(new_names)) for old, new_names in named.items()}, str(path))
