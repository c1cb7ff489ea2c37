"""Coordinates of a raster on a page that draws square, upright pixels."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyproj import CRS
from pyproj.exceptions import CRSError
from shapely.geometry.base import BaseGeometry

from geoseg.geodata.reading.crs import crs_name
from geoseg.geodata.reading.grids import RasterInfo, apply_affine

_SQUARE_TOLERANCE = 1e-3
_UNITS = {"metre": "m", "meter": "m", "degree": "degrees", "foot": "ft", "us survey foot": "us-ft"}


@dataclass(frozen=True)
class PageFrame:
    """The coordinates that a page uses for a raster.

    A raster with a CRS and upright, square pixels is shown in its own map coordinates. Any other is shown in pixels:
    x is the column and y the negative row of a pixel corner.

    Attributes:
        crs: Code, name, PROJ string and units of the CRS; None for pixels.
        transform: Affine a, b, c, d, e, f from pixel corners to x, y of the page.
        to_file: Transform from x, y of the page to those of the points file.
        height: Rows of the raster.
        width: Columns of the raster.
    """

    crs: dict[str, Any] | None
    transform: Affine
    to_file: Affine
    height: int
    width: int

    @property
    def extent(self) -> tuple[float, float, float, float]:
        """Smallest x and y, largest x and y of the raster on the page."""
        west, north = self.transform @ (0, 0)
        east, south = self.transform @ (self.width, self.height)
        return float(west), float(south), float(east), float(north)

    def file_geometry(self, shape: BaseGeometry) -> BaseGeometry:
        """Convert a geometry of the page to the coordinates of the points file."""
        return _transformed(shape, self.to_file)

    def page_geometry(self, shape: BaseGeometry) -> BaseGeometry:
        """Convert a geometry of the points file to the coordinates of the page."""
        return _transformed(shape, ~self.to_file)

    def to_rowcol(self, x: float, y: float) -> tuple[float, float]:
        """Return the row and column, counted from the corner of the raster, of a place on the page."""
        col, row = ~self.transform @ (x, y)
        return float(row), float(col)

    def to_xy(self, row: float, col: float) -> tuple[float, float]:
        """Return the place on the page of a row and column, counted from the corner of the raster."""
        x, y = self.transform @ (col, row)
        return float(x), float(y)


def page_frame(info: RasterInfo) -> PageFrame:
    """Return the coordinates that a page uses for a raster."""
    affine, size = info.affine, (info.height, info.width)
    is_square = math.isclose(affine.a, -affine.e, rel_tol=_SQUARE_TOLERANCE) and affine.b == affine.d == 0
    if info.crs is not None and is_square and affine.a > 0:
        return PageFrame(_describe(info.crs), affine, Affine.identity(), *size)
    upright = Affine.scale(1, -1)
    to_file = affine @ upright if info.is_georeferenced else Affine.identity()
    return PageFrame(None, upright, to_file, *size)


def _describe(crs: str) -> dict[str, Any] | None:
    found = CRS.from_wkt(crs)
    authority = found.to_authority(min_confidence=100)
    unit = found.axis_info[0].unit_name if found.axis_info else ""
    return {
        "code": ":".join(authority) if authority else None,
        "name": crs_name(crs),
        "proj4": _proj4(found),
        "units": _UNITS.get(unit.lower(), unit),
    }


def _proj4(crs: CRS) -> str | None:
    with warnings.catch_warnings():
        # A PROJ string loses details that the page does not need.
        warnings.simplefilter("ignore", UserWarning)
        try:
            return str(crs.to_proj4()) or None
        except CRSError:
            return None


def _transformed(shape: BaseGeometry, affine: Affine) -> BaseGeometry:
    if affine == Affine.identity():
        return shape

    def apply(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.stack(apply_affine(affine, xy[:, 0], xy[:, 1]), axis=1)

    found: BaseGeometry = shapely.transform(shape, apply)
    return found
