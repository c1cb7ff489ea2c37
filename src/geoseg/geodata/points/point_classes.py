"""Find the class column of a point table, rename its classes, and match them with a legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.class_names import ClassIds, ids_in_legend, ids_without_legend, is_in_legend
from geoseg.domain.class_tables import LEFT_OUT, ClassTable
from geoseg.domain.legend import Legend
from geoseg.errors import PointsError
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.points.tables.class_columns import CLASS_COLUMNS, describe_candidates, guess_class_column
from geoseg.geodata.points.tables.number_texts import is_empty

WITHOUT_CLASS, UNKNOWN_CLASS = "without a class", "unknown class"

_CLASS_IN_NAME_COLUMN = (".kml", ".kmz", ".gpx")


@dataclass(frozen=True)
class PointClasses:
    """Classes of the P rows of a point table.

    Attributes:
        texts: Class of each row as the file has it (P,); empty without one.
        fault: Reason why the class of a row cannot be used (P,); empty if it can.
        matched: Class ids, legend, notes and warnings.
        notes: Choices of the column and the classes, one sentence each.
        warnings: Possible errors, one sentence each.
    """

    texts: NDArray[np.str_]
    fault: NDArray[np.str_]
    matched: ClassIds
    notes: tuple[str, ...]
    warnings: tuple[str, ...]


def find_classes(
    table: PointTable,
    legend: Legend | None,
    *,
    column: str | None,
    class_table: ClassTable | None,
    drops_unknown: bool = False,
) -> PointClasses:
    """Read the classes of a point table, rename them, and find them in the legend.

    Args:
        table: The points.
        legend: The legend, with the new names of a class table. None uses the legend in the file, whose classes are
            renamed too, or creates one from the classes of the points.
        column: The class column; None: the first with a usual name.
        class_table: New names of classes.
        drops_unknown: Whether a class that the legend lacks is the fault of its points, not an error.

    Raises:
        PointsError: The class column is missing, or no point has a class.
        LegendError: A class is not in the legend.
    """
    given, legend = legend, legend or table.legend
    column, notes = _class_column(table, column, legend)
    texts = np.array([("" if is_empty(text) else text) for text in table.texts(column).tolist()], np.str_)
    where = f"{table.path}, column {column!r}"
    names = texts
    warnings: tuple[str, ...] = ()
    if class_table is not None:
        if given is None and legend is not None:
            # Codes become names before their ids change.
            names = _names(ids_in_legend(texts.tolist(), legend, where), texts)
            legend = class_table.merge(legend)
        warnings = _warn_of_missing(class_table, names.tolist())
        names = class_table.rename(names.tolist())
    fault = np.select([texts == "", names == ""], [WITHOUT_CLASS, LEFT_OUT], default="")
    if legend is not None and drops_unknown:
        is_unknown = (names != "") & ~is_in_legend(names.tolist(), legend)
        fault = np.where(is_unknown, UNKNOWN_CLASS, fault)
        names = np.where(is_unknown, "", names)
    matched = _match(names, legend, where)
    learnt = f"The classes come from column {column!r}: {', '.join(matched.legend.names)}."
    return PointClasses(
        texts,
        fault.astype(np.str_),
        matched,
        (
            *notes,
            *((learnt,) if legend is None else ()),
            *(f"{table.path.name}: {note}" for note in matched.notes),
        ),
        (
            *warnings,
            *(f"{table.path.name}, column {column!r}: {warning}" for warning in matched.warnings),
        ),
    )


def _names(found: ClassIds, texts: NDArray[np.str_]) -> NDArray[np.str_]:
    names = np.array(found.legend.names)[found.class_id]
    return np.where(texts == "", "", names).astype(np.str_)


def _warn_of_missing(table: ClassTable, texts: Sequence[str]) -> tuple[str, ...]:
    missing = table.missing(texts)
    return (f"{table.where}: no point has the class {', '.join(map(repr, missing))}.",) if missing else ()


def _match(classes: NDArray[np.str_], legend: Legend | None, where: str) -> ClassIds:
    texts = classes.tolist()
    if legend is not None:
        return ids_in_legend(texts, legend, where)
    if not any(texts):
        raise PointsError("no point has a class", where=where)
    return ids_without_legend(texts, where)


def _class_column(table: PointTable, asked: str | None, legend: Legend | None) -> tuple[str, tuple[str, ...]]:
    """Return the class column, and a note on columns that were rejected."""
    if asked is not None:
        found = table.find(asked)
        if found is not None:
            return found, ()
        got = f"columns {', '.join(map(str, table.columns))}"
        raise PointsError(f"the file has no column {asked!r}", where=table.path, got=got)
    values = {
        name: [text for text in table.texts(name).tolist() if not is_empty(text)]
        for name in map(str, table.columns)
    }
    has_names = table.path.suffix.lower() in _CLASS_IN_NAME_COLUMN
    found, refused = guess_class_column(values, legend.names if legend else None, has_names=has_names)
    differing = ", ".join(map(repr, refused))
    if found is not None:
        note = f"Column {differing} does not hold the classes: nearly all of its values differ."
        return found, (note,) if refused else ()
    empty = table.find(*CLASS_COLUMNS)
    if empty is not None and not refused:
        raise PointsError("no point has a class", where=f"{table.path}, column {empty!r}")
    candidates = describe_candidates(values)
    raise PointsError(
        f"nearly all values of column {differing} differ, so they are not classes"
        if refused
        else "the file has no class column",
        where=table.path,
        got=f"columns {', '.join(map(str, table.columns))}",
        hint="Give the class column with --class-column"
        + (f". Candidates: {candidates}." if candidates else "."),
    )
