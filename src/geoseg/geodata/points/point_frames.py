"""Place the rows of a point file in a pixel frame, so that they can be divided into blocks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from pyproj import CRS

from geoseg.domain.points import Points, make_points
from geoseg.domain.training_places import METRES_PER_DEGREE
from geoseg.errors import PointsError
from geoseg.geodata.points.point_places import to_pixels
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.reading.crs import wrap_x
from geoseg.geodata.reading.grids import RasterInfo

_BLOCKS_ACROSS = 4

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PointFrame:
    """Rows of a point file in a pixel frame.

    Attributes:
        points: Position of each row (P,), NaN without one; all classes are 0. A line or polygon is one point inside it.
        block_px: Side in pixels of the blocks to begin with.
        pixel_m: Side of a pixel in metres; None if it is not known.
        source: What the size of the blocks comes from, as the end of a sentence.
    """

    points: Points
    block_px: int
    pixel_m: float | None
    source: str


def frame_of_raster(table: PointTable, raster: RasterInfo, block_px: int) -> PointFrame:
    """Place the rows in the pixels of a raster, also those outside it.

    Raises:
        PointsError: Only one of them has a CRS, or there is no transformation between the two.
    """
    source = f"{block_px} px of {raster.path.name}"
    if table.xy is None:
        return replace(frame_of_pixels(table, block_px), pixel_m=raster.resolution_m, source=source)
    if (raster.crs is None) != (table.crs is None):
        raise PointsError(
            "either the points or the raster have no CRS",
            where=table.path,
            expected="a CRS in both or in neither",
            hint="Give the CRS of the points with --crs, or leave out --raster.",
        )
    row, col = to_pixels(raster, *_representatives(table), crs=table.crs)
    return PointFrame(_points(table, row, col), block_px, raster.resolution_m, source)


def frame_of_pixels(table: PointTable, block_px: int) -> PointFrame:
    """Return rows that have only rows and columns of pixels in their own frame."""
    points = replace(_points(table, table.floats("row"), table.floats("col")), image=table.texts("image"))
    return PointFrame(points, block_px, None, f"{block_px} px")


def frame_of_extent(table: PointTable, block_px: int) -> PointFrame:
    """Place the rows in a frame in which a block is a quarter of their extent.

    Degrees count in metres on a sphere.

    Raises:
        PointsError: All rows lie at one place.
    """
    x, y = _representatives(table)
    is_geographic = table.crs is not None and CRS.from_user_input(table.crs).is_geographic
    if is_geographic:
        middle = float(np.nanmedian(y))
        x = wrap_x(x, float(np.nanmedian(x)) - 180, 360) * METRES_PER_DEGREE * np.cos(np.radians(middle))
        y = y * METRES_PER_DEGREE
    side = max(float(np.nanmax(values) - np.nanmin(values)) for values in (x, y))
    if side == 0:
        raise PointsError("all points lie at one place", where=table.path)
    unit_m = 1.0 if is_geographic or table.crs is None else _unit_m(table.crs)
    # A little more, so that the last point does not begin a block of its own.
    pixel = 1.000001 * side / (_BLOCKS_ACROSS * block_px)
    row, col = (np.nanmax(y) - y) / pixel - 0.5, (x - np.nanmin(x)) / pixel - 0.5
    pixel_m = None if table.crs is None else pixel * unit_m
    return PointFrame(_points(table, row, col), block_px, pixel_m, "a quarter of the extent of the points")


def _unit_m(crs: str) -> float:
    axes = CRS.from_user_input(crs).axis_info
    return float(axes[0].unit_conversion_factor) if axes else 1.0


def _representatives(table: PointTable) -> tuple[_Floats, _Floats]:
    """Return x and y of a point in each row's geometry (P,)."""
    assert table.xy is not None
    x, y = (values.copy() for values in table.xy)
    if table.shapes is not None:
        has_shape = np.array([shape is not None for shape in table.shapes], np.bool_)
        inside = shapely.point_on_surface(shapely.make_valid(table.shapes[has_shape]))
        x[has_shape], y[has_shape] = shapely.get_x(inside), shapely.get_y(inside)
    return x, y


def _points(table: PointTable, row: _Floats, col: _Floats) -> Points:
    return make_points("", row, col, np.zeros(len(table), np.uint8))
