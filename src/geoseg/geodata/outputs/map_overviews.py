"""Read a class map once for a report: areas and a small picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.mapping.class_areas import ClassAreas
from geoseg.domain.windows import strips
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import read_class_window
from geoseg.geodata.reading.opening import describe, open_upright
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2

_STRIP_PX = 256


@dataclass(frozen=True)
class MapOverview:
    """A class map: its grid, the areas of its values, and every n-th pixel (h, w), uint8."""

    info: RasterInfo
    areas: ClassAreas
    picture: NDArray[np.uint8]


def read_map_overview(path: Path, most_px: int = 1000) -> MapOverview:
    """Read a class map strip by strip; its picture has at most ``most_px`` rows and columns.

    Raises:
        RasterError: The file cannot be read, or is not a map of class ids.
    """
    areas, rows = ClassAreas(), list[NDArray[np.uint8]]()
    with open_upright(path) as dataset:
        info = describe(dataset, path)
        step = max(1, math.ceil(max(info.height, info.width) / most_px))
        for window in strips(info.height, info.width, _STRIP_PX):
            values = read_class_window(dataset, info, window)
            areas.add(values, pixel_areas_m2(info, window))
            rows.append(values[-window.row % step :: step, ::step])
    return MapOverview(info, areas, np.concatenate(rows))
