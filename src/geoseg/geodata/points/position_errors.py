"""Read the position error of points from a column of their file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import PointsError
from geoseg.geodata.points.point_tables import PointTable

ERROR_COLUMNS = (
    *("accuracy", "horizontal_accuracy", "h_accuracy", "hor_accuracy", "position_accuracy", "gps_accuracy"),
    *("gnss_accuracy", "gps_error", "gnss_error", "position_error", "error_m", "accuracy_m", "hacc", "h_acc"),
    *("horz_prec", "hrms", "genauigkeit", "precision_m", "hdop"),
)
"""Names of columns with position errors in metres, best first, in lower case; the last is a factor."""
HDOP_M = 5.0
"""Error of a consumer receiver in metres for each unit of the horizontal dilution of precision (HDOP)."""
_HDOP = "hdop"


@dataclass(frozen=True)
class PositionErrors:
    """Position errors of points.

    Attributes:
        column: Their column.
        metres: Error of each point in metres (P,); NaN for none.
        is_hdop: Whether the column has the dilution of precision.
    """

    column: str
    metres: NDArray[np.float64]
    is_hdop: bool


def find_position_errors(table: PointTable, column: str | None) -> PositionErrors | None:
    """Read the position errors of the rows of a table.

    Args:
        table: The points.
        column: Their column; None: the first with a usual name that has numbers.

    Returns:
        The errors; None if no column has any.

    Raises:
        PointsError: There is no such column, or it does not hold numbers of 0 or more.
    """
    if column is not None:
        if table.find(column) is None:
            got = f"columns {', '.join(map(str, table.columns))}"
            raise PointsError(f"the file has no column {column!r}", where=table.path, got=got)
        return _read(table, column)
    for name in ERROR_COLUMNS:
        if table.find(name) is None:
            continue
        try:
            found = _read(table, name)
        except PointsError:
            continue  # A column of this name has other content, such as texts.
        if np.isfinite(found.metres).any():
            return found
    return None


def _read(table: PointTable, column: str) -> PositionErrors:
    values = table.floats(column)
    if (values < 0).any():
        raise table.fault(column, expected="numbers of 0 or more", got=float(np.nanmin(values)))
    is_hdop = column.lower() == _HDOP
    return PositionErrors(str(table.find(column)), values * (HDOP_M if is_hdop else 1.0), is_hdop)
