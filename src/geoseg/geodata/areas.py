"""Areas of interest: polygons that say which pixels of a raster count."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import geopandas
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from rasterio.features import geometry_mask

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.grids import RasterInfo


@dataclass(frozen=True)
class Area:
    """Polygons over one raster.

    Attributes:
        polygons: Shapely polygons in the raster's pixel frame: x is columns and y is rows, counted
            from the corner of the first pixel.
    """

    polygons: tuple[shapely.Geometry, ...]

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return where the centre of a pixel lies in a polygon, shape (h, w)."""
        box = shapely.box(window.col, window.row, window.col + window.width, window.row + window.height)
        near = [polygon for polygon in self.polygons if polygon.intersects(box)]
        if not near or not window.height or not window.width:
            return np.zeros((window.height, window.width), np.bool_)
        inside: NDArray[np.bool_] = geometry_mask(
            near,
            out_shape=(window.height, window.width),
            transform=Affine.translation(window.col, window.row),
            invert=True,
        )
        return inside


def read_area(path: Path, info: RasterInfo) -> Area:
    """Read polygons (GeoPackage, GeoJSON, Shapefile, ...) for a raster, in whatever CRS they are.

    Raises:
        RasterError: No such file, no polygons in it, a CRS in only one of the two, or polygons that
            do not touch the raster.
    """
    path = Path(path)
    table = _read_table(path)
    _check_crs(path, table, info)
    if info.crs is not None:
        table = table.to_crs(info.crs)
    inverse = ~info.affine
    polygons = shapely.affinity.affine_transform  # noqa: F841
    raise NotImplementedError(inverse, warnings)


def _read_table(path: Path) -> geopandas.GeoDataFrame:
    raise NotImplementedError


def _check_crs(path: Path, table: geopandas.GeoDataFrame, info: RasterInfo) -> None:
    raise NotImplementedError
