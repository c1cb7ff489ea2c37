"""Draw points from lines and polygons, at pixel centres, with a maximum number per shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

from geoseg.geodata.points.point_places import to_map, to_pixels
from geoseg.geodata.points.point_tables import PointTable
from geoseg.geodata.reading.rasters import RasterInfo

_FIRST_TRIES, _MAX_TRIES = 20_000, 1_000_000
_STEP_PX = 0.5
_MAX_STEPS = 100_000
_LINES = ("LineString", "LinearRing", "MultiLineString")

_Pixels = NDArray[np.int64]


@dataclass(frozen=True)
class _Drawn:
    """Pixels of one shape: image name, and rows and columns (n, 2)."""

    image: str
    pixels: _Pixels


def sample_shapes(
    table: PointTable, rasters: Mapping[str, RasterInfo], per_polygon: int
) -> tuple[PointTable, NDArray[np.int64]]:
    """Replace lines and polygons of a table by points; return the table and the source row of each point.

    A polygon gives up to ``per_polygon`` pixels with their centre inside it, drawn at random without replacement. A line
    gives pixels that it crosses. The points of a shape have a total weight of one point, so that large polygons do not
    dominate. A polygon without a pixel centre gives the pixel under it. The draw is deterministic.
    """
    if table.shapes is None or table.xy is None:
        return table, np.arange(len(table))
    drawn = _draw(table, rasters, per_polygon)
    pieces = [
        _piece(table, row, drawn.get(row, []), rasters=rasters, image=image)
        for row, image in enumerate(table.texts("image").tolist())
    ]
    sizes = [len(piece.x) for piece in pieces]
    origin = np.repeat(np.arange(len(table)), sizes)
    columns = table.columns.iloc[origin].reset_index(drop=True)
    weight = table.floats("weight") if table.find("weight") else np.ones(len(table))
    columns[table.find("weight") or "weight"] = weight[origin] / np.repeat(np.maximum(sizes, 1), sizes)
    columns[table.find("image") or "image"] = [name for piece in pieces for name in piece.images]
    xy = np.concatenate([piece.x for piece in pieces]), np.concatenate([piece.y for piece in pieces])
    note = _describe(table.shapes, len(origin), per_polygon)
    return replace(table, columns=columns, xy=xy, shapes=None, notes=(*table.notes, note)), origin


@dataclass(frozen=True)
class _Piece:
    """The points of one row of a table in map coordinates, and their image names."""

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    images: list[str]


def _piece(
    table: PointTable, row: int, drawn: list[_Drawn], *, rasters: Mapping[str, RasterInfo], image: str
) -> _Piece:
    assert table.xy is not None
    assert table.shapes is not None
    if not drawn:
        shape = table.shapes[row]
        xy = np.array([values[row] for values in table.xy])
        if shape is not None:
            xy = shapely.get_coordinates(shape.representative_point())[0]
        return _Piece(xy[:1], xy[1:], [image])
    parts = [to_map(rasters[d.image], *d.pixels.T.astype(np.float64), crs=table.crs) for d in drawn]
    names = [d.image for d in drawn for _ in range(len(d.pixels))]
    return _Piece(np.concatenate([x for x, _ in parts]), np.concatenate([y for _, y in parts]), names)


def _draw(table: PointTable, rasters: Mapping[str, RasterInfo], count: int) -> dict[int, list[_Drawn]]:
    """Return the drawn pixels of each row that is a line or polygon on a raster."""
    assert table.shapes is not None
    named = table.texts("image")
    shapes = np.array([_largest_kind(shape) for shape in shapely.make_valid(table.shapes)], dtype=object)
    candidates: dict[int, list[_Drawn]] = {}
    for name, raster in sorted(rasters.items()):
        if (raster.crs is None) != (table.crs is None):
            continue  # find_places raises the error for this.
        on_raster = _in_pixels(shapes, raster, table.crs)
        left, top, right, bottom = shapely.bounds(on_raster).T
        with np.errstate(invalid="ignore"):
            meets = (
                (right > -0.5) & (left < raster.width - 0.5) & (bottom > -0.5) & (top < raster.height - 0.5)
            )
        for row in np.flatnonzero(meets & np.isin(named, [name, ""])).tolist():
            rng = np.random.default_rng([row, len(candidates)])
            pixels = _pixels_of(on_raster[row], raster, count=count, rng=rng)
            if len(pixels):
                candidates.setdefault(row, []).append(_Drawn(name, pixels))
    return {row: _limited(drawn, count, np.random.default_rng(row)) for row, drawn in candidates.items()}


def _largest_kind(shape: BaseGeometry | None) -> BaseGeometry | None:
    """Return the union of the polygons of a collection, or else of its lines; other shapes unchanged."""
    if shape is None or shape.geom_type != "GeometryCollection":
        return shape
    parts = shapely.get_parts(shape)
    dimension = shapely.get_dimensions(parts)
    united: BaseGeometry = shapely.union_all(parts[dimension == dimension.max()])
    return united


def _in_pixels(shapes: NDArray[np.object_], raster: RasterInfo, crs: str | None) -> NDArray[np.object_]:
    """Transform shapes to columns and rows of a raster; (0, 0) is the centre of the first pixel."""

    def transform(xy: NDArray[np.float64]) -> NDArray[np.float64]:
        row, col = to_pixels(raster, xy[:, 0], xy[:, 1], crs=crs)
        return np.stack([col, row], axis=1)

    transformed: NDArray[np.object_] = shapely.transform(shapes, transform)
    return transformed


def _pixels_of(shape: BaseGeometry, raster: RasterInfo, *, count: int, rng: np.random.Generator) -> _Pixels:
    """Return rows and columns (n, 2) of up to ``count`` pixels of a line or polygon."""
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        return np.empty((0, 2), np.int64)
    is_line = shape.geom_type in _LINES
    found = _crossed(shape, raster) if is_line else _inside(shape, raster, count=count, rng=rng)
    if not len(found):
        col, row = shapely.get_coordinates(shape.representative_point())[0]
        found = _on_raster(np.array([[round(row), round(col)]]), raster)
    chosen = rng.permutation(len(found))[:count]
    return found[np.sort(chosen)]


def _crossed(shape: BaseGeometry, raster: RasterInfo) -> _Pixels:
    step = max(_STEP_PX, shape.length / _MAX_STEPS)
    along = shapely.get_coordinates(shapely.segmentize(shape, step))
    pixels = np.unique(np.floor(along[:, ::-1] + 0.5).astype(np.int64), axis=0)
    return _on_raster(pixels, raster)


def _inside(shape: BaseGeometry, raster: RasterInfo, *, count: int, rng: np.random.Generator) -> _Pixels:
    """Return pixels with their centre in a polygon: all for a small polygon, a random choice for a large one."""
    left, top, right, bottom = shape.bounds
    first = np.maximum([np.ceil(top), np.ceil(left)], 0).astype(np.int64)
    last = np.minimum([np.floor(bottom), np.floor(right)], [raster.height - 1, raster.width - 1]).astype(
        np.int64
    )
    height, width = (last - first + 1).tolist()
    if height < 1 or width < 1:
        return np.empty((0, 2), np.int64)
    shapely.prepare(shape)
    for tries in (_FIRST_TRIES, _MAX_TRIES):
        is_all = height * width <= tries
        number = np.arange(height * width) if is_all else np.unique(rng.integers(0, height * width, tries))
        pixels = first + np.stack([number // width, number % width], axis=1)
        found: _Pixels = pixels[shapely.contains_xy(shape, pixels[:, 1], pixels[:, 0])]
        if is_all or len(found) >= count:
            break
    return found


def _on_raster(pixels: _Pixels, raster: RasterInfo) -> _Pixels:
    return pixels[((pixels >= 0) & (pixels < [raster.height, raster.width])).all(axis=1)]


def _limited(drawn: list[_Drawn], count: int, rng: np.random.Generator) -> list[_Drawn]:
    """Return at most ``count`` of the drawn pixels of a shape on several rasters."""
    sizes = [len(d.pixels) for d in drawn]
    if sum(sizes) <= count:
        return drawn
    kept = np.zeros(sum(sizes), np.bool_)
    kept[rng.permutation(len(kept))[:count]] = True
    parts = np.split(kept, np.cumsum(sizes)[:-1])
    return [_Drawn(d.image, d.pixels[part]) for d, part in zip(drawn, parts, strict=True) if part.any()]


def _describe(shapes: NDArray[np.object_], points: int, count: int) -> str:
    number = int((shapes != None).sum())  # noqa: E711 -- elementwise comparison
    return (
        f"{number} lines or polygons give up to {count} points each (--per-polygon), with a total weight of one point "
        f"per shape; {points} points in total."
    )
