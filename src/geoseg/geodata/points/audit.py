"""Audit points against their rasters: find unusable points and the reasons."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.domain.points import Points
from geoseg.domain.ports import PixelSource
from geoseg.errors import PointsError
from geoseg.geodata.reading.validity import valid_at

NODATA, DISPUTED, REPEATED = "on nodata", "two classes on one pixel", "repeated on one pixel"
_MAX_QUOTED = 3


def audit_points(points: Points, sources: Mapping[str, PixelSource]) -> NDArray[np.str_]:
    """Return the reason why each point is unusable (P,); empty for usable points.

    A point is unusable on an invalid pixel or on a pixel with points of two classes. Of several points of one class on
    a pixel, only the first is usable. Only blocks with points are read.

    Args:
        points: The points.
        sources: The rasters by image name.

    Raises:
        PointsError: A point lies on an image that is not among ``sources``.
    """
    reason = np.full(len(points), "", dtype=object)
    for text, find in (
        (NODATA, lambda some: ~_on_valid(some, sources)),
        (DISPUTED, _on_disputed_pixel),
        (REPEATED, _on_taken_pixel),
    ):
        left = np.flatnonzero(reason == "")
        reason[left[find(points.take(left))]] = text
    return reason.astype(np.str_)


def describe_disputed(points: Points, reason: NDArray[np.str_], legend: Legend) -> str:
    """Return a sentence with the first pixels that have two classes; "" if there are none."""
    disputed = points.take(reason == DISPUTED)
    if not len(disputed):
        return ""
    number = _pixel_numbers(disputed)
    named = []
    for k in np.unique(number)[:_MAX_QUOTED]:
        own = disputed.take(number == k)
        row, col = _pixels(own)[0].tolist()
        classes = " and ".join(legend.names[i] for i in np.unique(own.class_id))
        named.append(f"row {row}, column {col} of {own.image[0]} ({classes})")
    count = len(np.unique(number))
    rest = f" and {count - len(named):,} more" if count > len(named) else ""
    return f"Points of different classes share {count:,} pixel(s): {'; '.join(named)}{rest}."


def _pixels(points: Points) -> NDArray[np.int64]:
    """Return row and column of the pixel under each point, shape (P, 2)."""
    return np.floor(np.stack([points.row, points.col], axis=1) + 0.5).astype(np.int64)


def _on_valid(points: Points, sources: Mapping[str, PixelSource]) -> NDArray[np.bool_]:
    valid = np.zeros(len(points), np.bool_)
    for image in np.unique(points.image):
        if image not in sources:
            raise PointsError("no raster has the image name of these points", where=image)
        own = np.flatnonzero(points.image == image)
        valid[own] = valid_at(sources[image], _pixels(points.take(own)))
    return valid


def _pixel_numbers(points: Points) -> NDArray[np.intp]:
    """Return a number for each point (P,), equal for points on the same pixel."""
    _, image = np.unique(points.image, return_inverse=True)
    keys = np.column_stack([image, _pixels(points)])
    _, number = np.unique(keys, axis=0, return_inverse=True)
    return number.ravel()


def _on_disputed_pixel(points: Points) -> NDArray[np.bool_]:
    pixel = _pixel_numbers(points)
    lowest = np.full(len(points), 255, np.uint8)
    highest = np.zeros(len(points), np.uint8)
    np.minimum.at(lowest, pixel, points.class_id)
    np.maximum.at(highest, pixel, points.class_id)
    disputed: NDArray[np.bool_] = lowest != highest
    return disputed[pixel]


def _on_taken_pixel(points: Points) -> NDArray[np.bool_]:
    _, first = np.unique(_pixel_numbers(points), return_index=True)
    taken = np.ones(len(points), np.bool_)
    taken[first] = False
    return taken
