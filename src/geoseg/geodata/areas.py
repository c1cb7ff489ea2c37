"""Areas of interest: polygons that say which pixels of a raster count."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
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
from geoseg.geodata.grids import RasterInfo, moved


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
        near = [polygon for polygon in self.polygons if shapely.intersects(polygon, box)]
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
    _check_crs(path, table.crs, info)
    if info.crs is not None:
        table = table.to_crs(info.crs)
    polygons = _in_pixels(table.geometry.to_numpy(), info)
    if not polygons:
        raise RasterError("there is no polygon in this file", where=path, expected="at least one polygon")
    raster = shapely.box(0, 0, info.width, info.height)
    if not shapely.intersects(polygons, raster).any():
        raise RasterError(
            "no polygon touches the raster",
            where=path,
            expected=f"polygons within columns 0..{info.width} and rows 0..{info.height} of {info.path}",
            got="columns {:.0f}..{:.0f} and rows {:.0f}..{:.0f}".format(*_extent(polygons)),
            hint="Is this the area of another raster, or is its CRS wrong?",
        )
    return Area(polygons)


def check_area(path: Path) -> None:
    """Make sure that a file of polygons can be read.

    Raises:
        RasterError: It cannot.
    """
    _read_table(path)


def area_digest(path: Path) -> str:
    """Return the SHA-256 of a file of polygons, or of the files of a folder (a file geodatabase)."""
    found = sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        found.update(file.read_bytes())
    return found.hexdigest()


def _read_table(path: Path) -> geopandas.GeoDataFrame:
    if not path.exists():
        raise RasterError("no such file", where=path, expected="a file of polygons", hint="Check the path.")
    try:
        table = geopandas.read_file(path)
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise RasterError(
            "this file of polygons cannot be read",
            where=path,
            expected="a whole GeoPackage, GeoJSON, Shapefile or another that GDAL reads",
            got=error,
        ) from error
    if not isinstance(table, geopandas.GeoDataFrame):
        raise RasterError("this file has no geometries", where=path, expected="polygons", got="a plain table")
    return table


def _check_crs(path: Path, crs: object, info: RasterInfo) -> None:
    if (crs is None) == (info.crs is None):
        return
    states = ("a CRS", "none")
    raise RasterError(
        "the polygons have a CRS, but the raster has none"
        if info.crs is None
        else "the polygons have no CRS, but the raster has one",
        where=path,
        expected=states[info.crs is None],
        got=states[crs is None],
        hint=f"Both need one, or neither; the raster is {info.path}.",
    )


def _in_pixels(geometries: NDArray[np.object_], info: RasterInfo) -> tuple[shapely.Geometry, ...]:
    """Return the polygons among ``geometries``, valid, in the frame of ``Area``."""
    present = geometries[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]
    inverse = ~info.affine
    placed = shapely.transform(present, lambda xy: np.column_stack(moved(inverse, xy[:, 0], xy[:, 1])))
    finite = placed[np.isfinite(shapely.bounds(placed)).all(axis=-1)]
    # Twice: a part of a collection may have parts itself.
    parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(finite)))
    return tuple(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON])


def _extent(polygons: tuple[shapely.Geometry, ...]) -> tuple[float, float, float, float]:
    left, top, right, bottom = shapely.total_bounds(np.array(polygons, dtype=object))
    return float(left), float(right), float(top), float(bottom)
