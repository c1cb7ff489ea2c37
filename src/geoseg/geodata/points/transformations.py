"""Describe the transformation between the CRS of points and of a raster, and its expected accuracy."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup

from geoseg.geodata.reading.crs import crs_name, transformer_between

_LON_LAT = "EPSG:4326"
_BALLPARK = "ballpark"


@dataclass(frozen=True)
class Transformation:
    """How positions get from one CRS to another.

    Attributes:
        source: Name of the CRS of the points.
        target: Name of the CRS of the raster.
        operation: Name of the operation in PROJ; None if the two are the same.
        accuracy_m: Expected accuracy in metres; None if it is not known.
        better: A more accurate operation with its accuracy and the grid file that it lacks; None if there is none.
    """

    source: str
    target: str
    operation: str | None
    accuracy_m: float | None
    better: str | None = None

    @property
    def is_ballpark(self) -> bool:
        """Whether the shift between the datums is not known, so that none is applied."""
        return self.operation is not None and _BALLPARK in self.operation.lower()


def describe_transformation(
    source: str, target: str, *, x: NDArray[np.float64], y: NDArray[np.float64]
) -> Transformation:
    """Describe the operation that PROJ applies to positions (P,) from one CRS to another.

    Raises:
        ProjError: There is no transformation.
    """
    names = crs_name(source), crs_name(target)
    # The same direction as when points are read; see point_places.
    transformer = transformer_between(target, source)
    if transformer is None:
        return Transformation(*names, None, 0.0)
    known = np.isfinite(x) & np.isfinite(y)
    transformer.transform(x[known], y[known], direction="INVERSE")
    try:
        used = transformer.get_last_used_operation()
    except ProjError:
        used = transformer  # There is only one operation to choose from.
    accuracy = used.accuracy if used.accuracy >= 0 else None
    operation = re.sub(r"\s+", " ", used.description or used.name)
    area = _area(source, x[known], y[known])
    better = _missing_operation(source, target, area, accuracy=accuracy)
    return Transformation(*names, operation, accuracy, better)


def _missing_operation(
    source: str, target: str, area: AreaOfInterest | None, *, accuracy: float | None
) -> str | None:
    """Return the best operation that needs a missing grid file, if it is more accurate than the used one."""
    with warnings.catch_warnings():
        # pyproj warns that the best operation is not available, which is the question here.
        warnings.simplefilter("ignore", UserWarning)
        group = TransformerGroup(
            CRS.from_user_input(source),
            CRS.from_user_input(target),
            always_xy=True,
            area_of_interest=area,
        )
    candidates = [one for one in group.unavailable_operations if one.accuracy >= 0]
    if not candidates:
        return None
    best = min(candidates, key=lambda one: float(one.accuracy))
    if accuracy is not None and best.accuracy >= accuracy:
        return None
    files = ", ".join(grid.short_name for grid in best.grids if not grid.available)
    return f"{best.name} ({best.accuracy:g} m), which needs {files or 'a grid file'}"


def _area(source: str, x: NDArray[np.float64], y: NDArray[np.float64]) -> AreaOfInterest | None:
    """Return the bounds of positions in degrees; None if they cannot be found."""
    try:
        transformer = transformer_between(source, _LON_LAT)
    except ProjError:
        return None
    lon, lat = (x, y) if transformer is None else transformer.transform(x, y)
    known = np.isfinite(lon) & np.isfinite(lat) & (np.abs(lat) <= 90)
    if not known.any():
        return None
    lon, lat = (lon[known] + 180) % 360 - 180, lat[known]
    return AreaOfInterest(float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max()))
