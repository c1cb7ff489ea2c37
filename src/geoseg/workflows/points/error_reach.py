"""Compare the position errors of points with the pixels and with points of other classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.point_patterns import nearest_of_other_class
from geoseg.domain.points import Points
from geoseg.geodata.points.position_errors import HDOP_M, PositionErrors
from geoseg.geodata.reading.grids import RasterInfo, ground_steps_m
from geoseg.workflows.points.point_metres import pixel_steps, positions_m

REACHES = "position error reaches a point of another class"
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class ErrorReach:
    """Position errors compared with the pixels and with points of other classes.

    Attributes:
        errors: The errors of the used points.
        other_class: Distance of each used point to the nearest point of another class, in metres; infinity for none.
        is_beyond_pixel: Used points (P,) whose error is larger than half a pixel.
    """

    errors: PositionErrors
    other_class: _Floats
    is_beyond_pixel: NDArray[np.bool_]

    @property
    def is_known(self) -> NDArray[np.bool_]:
        """Used points (P,) with an error in the file."""
        return np.isfinite(self.errors.metres)

    @property
    def reaches(self) -> NDArray[np.bool_]:
        """Used points (P,) whose error circle contains a point of another class."""
        return self.is_known & (self.other_class <= self.errors.metres)

    @property
    def warnings(self) -> list[str]:
        """Possible problems, one sentence each."""
        if not self.reaches.any():
            return []
        said = (
            f"{int(self.reaches.sum())} of {int(self.is_known.sum())} points with a position error lie closer to a point of "
            "another class than their error. Their class may belong to the neighbour."
        )
        return [said]

    def columns(self, kept: NDArray[np.bool_]) -> dict[str, Any]:
        """Return columns of the audited layer for the points on a raster; the values of dropped ones are empty.

        Args:
            kept: Which of the points are usable (P,).
        """
        error, other = np.full((2, len(kept)), np.nan)
        error[kept] = self.errors.metres
        other[kept] = np.where(np.isinf(self.other_class), np.nan, self.other_class)
        doubt = np.full(len(kept), "", dtype=object)
        doubt[np.flatnonzero(kept)[self.reaches]] = REACHES
        return {"error_m": error, "other_class_m": other, "doubt": doubt}

    def to_record(self) -> dict[str, Any]:
        """Return the numbers as JSON values."""
        known = self.is_known
        count = int(known.sum())
        metres = self.errors.metres[known]
        return {
            "column": self.errors.column,
            "metres_per_unit": HDOP_M if self.errors.is_hdop else 1.0,
            "points": count,
            "median_m": float(np.median(metres)) if count else None,
            "p90_m": float(np.quantile(metres, 0.9)) if count else None,
            "share_beyond_half_pixel": float(self.is_beyond_pixel[known].mean()) if count else None,
            "share_reaching_another_class": float(self.reaches[known].mean()) if count else None,
        }


def compare_errors(used: Points, infos: Mapping[str, RasterInfo], errors: PositionErrors) -> ErrorReach:
    """Compare the errors of usable points (P,) with their surroundings."""
    distance, half_pixel = np.full(len(used), np.inf), np.full(len(used), np.inf)
    for name in np.unique(used.image).tolist():
        own = used.image == name
        points = used.take(own)
        if ground_steps_m(infos[name]) is None:
            continue  # Without a CRS, metres cannot be compared with pixels.
        distance[own] = nearest_of_other_class(positions_m(points, infos[name]), points.class_id)
        half_pixel[own] = min(pixel_steps(infos[name])) / 2
    return ErrorReach(errors, distance, np.isfinite(errors.metres) & (errors.metres > half_pixel))
