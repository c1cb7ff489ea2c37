"""Places of labels in pixels: a point is one place, a line or polygon up to ten."""

from __future__ import annotations

import numpy as np
import pandas as pd
import shapely
from numpy.typing import NDArray

from geoseg.geodata.points.point_places import to_pixels
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.points.shape_sampling import sample_shapes
from geoseg.geodata.projects.labels import Label
from geoseg.geodata.reading.grids import RasterInfo

PER_SHAPE = 10
"""Most places of a line or polygon, as in geoseg train."""


def label_pixels(label: Label, info: RasterInfo) -> NDArray[np.float64]:
    """Return rows and columns (n, 2) of a label, counted from the corner of the raster; n is 0 outside of it."""
    shape = label.geometry
    if shape.geom_type == "Point":
        [[x, y]] = shapely.get_coordinates(shape)
        xy = np.array([x]), np.array([y])
    else:
        table = PointTable(
            path=info.path,
            columns=pd.DataFrame({"image": [label.image or info.path.stem]}),
            xy=(np.array([np.nan]), np.array([np.nan])),
            crs=info.crs,
            shapes=np.array([shape], dtype=object),
        )
        sampled, _ = sample_shapes(table, {info.path.stem: info}, PER_SHAPE)
        assert sampled.xy is not None
        xy = sampled.xy
    row, col = to_pixels(info, *xy, crs=info.crs)
    places = np.stack([row + 0.5, col + 0.5], axis=1)
    inside = ((places >= 0) & (places < [info.height, info.width])).all(axis=1)
    found: NDArray[np.float64] = places[inside]
    return found
