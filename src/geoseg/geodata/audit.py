"""The audit of points against their rasters: what cannot be used is dropped, counted and named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.points import Points
from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window
from geoseg.errors import PointsError

_BLOCK_PX = 256


def audit_points(
    points: Points, sources: Mapping[str, PixelSource], *, where: Path | None = None
) -> tuple[Points, dict[str, int]]:
    """Drop the points that cannot be used, and count them by reason.

    Dropped are points on a pixel that is not valid, all points of a pixel that carries two classes,
    and all but the first of several points of one class on a pixel. Only blocks that hold points are read.

    Args:
        points: The points.
        sources: The rasters by image name.
        where: The file that they come from, for the error.

    Returns:
        The points that are left, in their order, and the number dropped by reason (no zeros).

    Raises:
        PointsError: A point lies on an image that is not among ``sources``, or no point is left.
    """
    dropped: dict[str, int] = {}
    left = points
    for reason, find in (
        ("on nodata", lambda some: ~_on_valid(some, sources)),
        ("two classes on one pixel", _on_disputed_pixel),
        ("repeated on one pixel", _on_taken_pixel),
    ):
        bad = find(left)
        left = left.take(~bad)
        dropped |= {reason: int(bad.sum())} if bad.any() else {}
    if not len(left):
        said = describe_dropped(dropped, len(points)).rstrip(".")
        raise PointsError("no point can be used", where=where, got=said)
    return left, dropped


def describe_dropped(dropped: Mapping[str, int], total: int) -> str:
    """Return one sentence on the points dropped, by reason, out of ``total``."""
    count = sum(dropped.values())
    if not count:
        return f"Dropped none of {total} points."
    reasons = ", ".join(f"{number} {reason}" for reason, number in dropped.items())
    return f"Dropped {count} of {total} points: {reasons}."


def _pixels(points: Points) -> NDArray[np.int64]:
    """Return row and column of the pixel under each point, shape (P, 2)."""
    return np.floor(np.stack([points.row, points.col], axis=1) + 0.5).astype(np.int64)


def _on_valid(points: Points, sources: Mapping[str, PixelSource]) -> NDArray[np.bool_]:
    valid = np.zeros(len(points), np.bool_)
    for image in np.unique(points.image):
        if image not in sources:
            raise PointsError("points lie on an image that is not there", where=image)
        own = np.flatnonzero(points.image == image)
        valid[own] = _valid_at(sources[image], _pixels(points.take(own)))
    return valid


def _valid_at(source: PixelSource, pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether the source is valid at pixels (P, 2), reading the part of each block that is asked for."""
    valid = np.zeros(len(pixels), np.bool_)
    blocks, block_of = np.unique(pixels // _BLOCK_PX, axis=0, return_inverse=True)
    block_of = block_of.ravel()  # NumPy 2.0 alone gives it another shape
    order = np.argsort(block_of, kind="stable")
    for own in np.split(order, np.searchsorted(block_of[order], np.arange(1, len(blocks)))):
        first, last = pixels[own].min(axis=0), pixels[own].max(axis=0)
        height, width = (last - first + 1).tolist()
        _, valid_there = source.read(Window(int(first[0]), int(first[1]), height, width))
        row, col = (pixels[own] - first).T
        valid[own] = valid_there[row, col]
    return valid


def _pixel_numbers(points: Points) -> NDArray[np.intp]:
    """Return the same number for points on the same pixel, shape (P,)."""
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
