"""Areas of interest: polygons that select the pixels of a raster to map."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import geopandas
import numpy as np
import shapely
from affine import Affine
from numpy.typing import NDArray
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj.exceptions import ProjError
from rasterio.features import geometry_mask
from shapely.errors import GEOSException

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.points.misplacement import explain_misplaced
from geoseg.geodata.reading.crs import crs_name, transformer_between, x_period
from geoseg.geodata.reading.grids import RasterInfo, apply_affine


@dataclass(frozen=True)
class Area:
    """Polygons over one raster.

    Attributes:
        polygons: Shapely polygons in pixel coordinates of the raster: x is columns and y is rows, counted from the
            corner of the first pixel.
    """

    polygons: tuple[shapely.Geometry, ...]

    def inside(self, window: Window) -> NDArray[np.bool_]:
        """Return the pixels with their centre in a polygon (h, w)."""
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
    """Read polygons (GeoPackage, GeoJSON, Shapefile, ...) in any CRS, and transform them to a raster.

    Heights are ignored. If x is periodic in the CRS of the raster (360 degrees), the polygons are repeated.

    Raises:
        RasterError: The file does not exist or has no polygons, only one of the two has a CRS, or no polygon touches
            the raster.
    """
    path = Path(path)
    table = _read_table(path)
    _check_crs(path, table.crs, info)
    found = _polygons(table.geometry.to_numpy())
    if not len(found):
        raise RasterError(
            "the file has no polygon",
            where=path,
            expected="at least one polygon",
            got=", ".join(sorted(set(table.geom_type.dropna()))) or "no shapes",
        )
    crs = None if table.crs is None else str(table.crs.to_wkt())
    inverse = ~info.affine
    placed = _repeated(_in_crs_of(info, found, crs, path=path), info)
    with np.errstate(all="ignore"):
        placed = shapely.transform(
            placed, lambda xy: np.column_stack(apply_affine(inverse, xy[:, 0], xy[:, 1]))
        )
    raster = shapely.box(0, 0, info.width, info.height)
    polygons = _polygons(placed)
    polygons = polygons[shapely.intersects(polygons, raster)]
    if not len(polygons):
        boxes = shapely.bounds(found) / 2
        explained = explain_misplaced(
            boxes[:, 0] + boxes[:, 2], boxes[:, 1] + boxes[:, 3], crs=crs, rasters={"raster": info}
        )
        raise RasterError("no polygon touches the raster", where=path, hint=explained)
    return Area(tuple(polygons))


def check_area(path: Path) -> None:
    """Check that a file of polygons can be read.

    Raises:
        RasterError: The file cannot be read.
    """
    _read_table(path)


def area_digest(path: Path) -> str:
    """Return the SHA-256 of a file of polygons, or of all files of a file geodatabase."""
    digest = sha256()
    for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _read_table(path: Path) -> geopandas.GeoDataFrame:
    if not path.exists():
        raise RasterError("no such file", where=path, expected="a file of polygons", hint="Check the path.")
    try:
        with warnings.catch_warnings():
            # GDAL warns of an open ring; shapely then raises an error for it.
            warnings.filterwarnings("ignore", "Non closed ring", RuntimeWarning)
            table = geopandas.read_file(path)
    except GEOSException as error:
        raise RasterError(
            "a polygon in this file is invalid",
            where=path,
            expected="closed rings with at least three corners",
            hint="Repair the geometries (in QGIS: Fix geometries).",
        ) from error
    except (DataSourceError, DataLayerError, ValueError) as error:
        raise RasterError(
            "this file of polygons cannot be read",
            where=path,
            expected="a complete GeoPackage, GeoJSON, Shapefile or another format that GDAL reads",
            got=str(error).partition("; It might help")[0],
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
        hint=f"Assign a CRS to both, or to neither. The raster is {info.path}.",
    )


def _polygons(geometries: NDArray[np.object_]) -> NDArray[np.object_]:
    """Return the polygons among geometries and their parts, made valid and two-dimensional."""
    present = geometries[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]
    present = present[np.isfinite(shapely.bounds(present)).all(axis=-1)]
    # Split twice, because a part of a collection may have parts itself.
    with np.errstate(all="ignore"):
        parts = shapely.get_parts(shapely.get_parts(shapely.make_valid(shapely.force_2d(present))))
    polygons: NDArray[np.object_] = parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON]
    return polygons


def _in_crs_of(
    info: RasterInfo, polygons: NDArray[np.object_], crs: str | None, *, path: Path
) -> NDArray[np.object_]:
    """Return the polygons in the CRS of a raster, without those outside the range of its projection."""
    try:
        transformer = None if crs is None or info.crs is None else transformer_between(crs, info.crs)
    except ProjError as error:
        raise RasterError(
            "there is no transformation from the CRS of the polygons to that of the raster",
            where=path,
            expected=f"polygons in {crs_name(info.crs)} or in a CRS with a transformation to it",
            got=crs_name(crs),
        ) from error
    if transformer is None:
        return polygons
    xy, owner = shapely.get_coordinates(polygons, return_index=True)
    transformed = np.column_stack(transformer.transform(xy[:, 0], xy[:, 1]))
    is_known = np.ones(len(polygons), np.bool_)
    is_known[owner[~np.isfinite(transformed).all(axis=1)]] = False
    known: NDArray[np.object_] = shapely.set_coordinates(
        polygons[is_known].copy(), transformed[is_known[owner]]
    )
    return known


def _repeated(polygons: NDArray[np.object_], info: RasterInfo) -> NDArray[np.object_]:
    """Return polygons and, if x is periodic in the CRS of the raster, copies shifted by one period to both sides."""
    period = None if info.crs is None else x_period(info.crs)
    if period is None:
        return polygons
    shifts = [np.array([n * period, 0.0]) for n in (0, -1, 1)]
    return np.concatenate([shapely.transform(polygons, shift.__add__) for shift in shifts])
