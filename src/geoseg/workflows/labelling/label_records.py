"""Labels in the form of the page: GeoJSON in the coordinates of their raster."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import shapely
from shapely.errors import ShapelyError
from shapely.geometry.base import BaseGeometry

from geoseg.errors import PointsError
from geoseg.geodata.projects.labels import Label
from geoseg.geodata.projects.page_frames import PageFrame
from geoseg.workflows.labelling.page_rasters import PageRaster

MAX_VERTICES = 10_000
_KINDS = ("Point", "LineString", "Polygon")
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def label_record(label: Label, rasters: Mapping[str, PageRaster]) -> dict[str, Any] | None:
    """Return a label as the page has it; None if it lies on no raster of the project.

    Args:
        label: The label.
        rasters: Rasters of the project by name.
    """
    raster = rasters.get(label.image) or _raster_under(label, rasters)
    if raster is None:
        return None
    shape = raster.frame.page_geometry(label.geometry)
    return {
        "id": label.id,
        "raster": raster.id,
        "geometry": _plain_geojson(shape),
        "class_id": label.class_id,
        "unsure": label.is_unsure,
        "source": label.source,
        "role": label.role,
        "annotator": label.annotator,
        "date": label.date,
        "revision": label.revision,
    }


def page_geometry(record: Mapping[str, Any], frame: PageFrame) -> BaseGeometry:
    """Read a GeoJSON geometry in the coordinates of the page; return it in those of the points file.

    Raises:
        PointsError: It is no valid point, line or polygon on the raster.
    """
    kind = record.get("type")
    if kind not in _KINDS:
        raise PointsError(
            "this geometry cannot be used", where="geometry", expected=", ".join(_KINDS), got=kind
        )
    if _count_numbers(record.get("coordinates")) > 3 * MAX_VERTICES:
        raise PointsError(
            "the shape has too many vertices", where="geometry", expected=f"at most {MAX_VERTICES}"
        )
    try:
        shape = shapely.force_2d(shapely.geometry.shape(dict(record)))
    except (ShapelyError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise PointsError("this geometry cannot be read", where="geometry", got=error) from error
    if shape.is_empty or not np.isfinite(shapely.get_coordinates(shape)).all():
        raise PointsError("this geometry has no finite coordinates", where="geometry")
    if shape.geom_type == "Polygon" and not shape.is_valid:
        raise PointsError(
            "this polygon is not valid",
            where="geometry",
            got=shapely.is_valid_reason(shape),
            hint="Draw it again.",
        )
    west, south, east, north = frame.extent
    if not shape.intersects(shapely.box(west, south, east, north)):
        raise PointsError("this shape lies outside the raster", where="geometry")
    return frame.file_geometry(shape)


def checked_id(text: str) -> str:
    """Return the id of a label in lower case.

    Raises:
        PointsError: It is no UUID.
    """
    if not _UUID.fullmatch(text.lower()):
        raise PointsError("this is no id of a point", where="id", expected="a UUID", got=text[:60])
    return text.lower()


def _raster_under(label: Label, rasters: Mapping[str, PageRaster]) -> PageRaster | None:
    """Return the first raster under a label that does not name one, as a program such as QGIS writes it."""
    for raster in rasters.values():
        shape = raster.frame.page_geometry(label.geometry)
        if shape.intersects(shapely.box(*raster.frame.extent)):
            return raster
    return None


def _plain_geojson(shape: BaseGeometry) -> dict[str, Any]:
    """Return a geometry as GeoJSON, with lists in place of tuples; a collection of one part is that part."""
    parts = shapely.get_parts(shape)
    if len(parts) == 1:
        shape = parts[0]
    found: dict[str, Any] = shapely.geometry.mapping(shape)
    return {"type": found["type"], "coordinates": _lists(found["coordinates"])}


def _lists(values: Any) -> Any:
    return [_lists(value) for value in values] if isinstance(values, list | tuple) else values


def _count_numbers(values: Any) -> int:
    if isinstance(values, list | tuple):
        return sum(_count_numbers(value) for value in values[: 3 * MAX_VERTICES + 1])
    return 1 if isinstance(values, int | float) and math.isfinite(values) else 0
