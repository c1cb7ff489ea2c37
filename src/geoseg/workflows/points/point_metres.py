"""Positions of points on rasters in metres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.points import Points
from geoseg.geodata.reading.grids import RasterInfo, ground_steps_m


def pixel_steps(info: RasterInfo) -> tuple[float, float]:
    """Return metres per row and per column; 1 and 1 without a CRS."""
    return ground_steps_m(info) or (1.0, 1.0)


def positions_m(points: Points, info: RasterInfo) -> NDArray[np.float64]:
    """Return positions (P, 2) in metres from the corner of a raster; in pixels without a CRS."""
    rows, cols = pixel_steps(info)
    return np.column_stack([points.row * rows, points.col * cols])
