"""Locations of training points: compact storage, and comparison with other points."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]

METRES_PER_DEGREE = 111_320.0
STEP_PX = 0.25
"""Pixel positions are rounded to a quarter of a pixel."""
_MIN_STEP = 1e-7  # a centimetre in degrees
_MAX_BYTES = 1 << 18
_COARSER = 4


@dataclass(frozen=True)
class TrainingPlaces:
    """Locations of the training points of a model.

    Attributes:
        sha256: Hash of the points.
        points: Number of points.
        lon_lat: Longitude and latitude (n, 2) in degrees, of points on georeferenced rasters.
        pixels: Rows and columns (n, 2) by image name, of points on other rasters.
        step: Rounding step of longitude and latitude in degrees.
    """

    sha256: str
    points: int
    lon_lat: _Floats = field(default_factory=lambda: np.zeros((0, 2)))
    pixels: Mapping[str, _Floats] = field(default_factory=dict)
    step: float = _MIN_STEP

    def to_record(self) -> dict[str, Any]:
        """Return JSON values of at most a few hundred kilobytes; large numbers of points are stored with a coarser step."""
        return {
            "sha256": self.sha256,
            "points": self.points,
            "lon_lat": _packed(self.lon_lat, max(self.step, _MIN_STEP)),
            "pixels": {image: _packed(places, STEP_PX) for image, places in self.pixels.items()},
        }


def read_places(record: Mapping[str, Any]) -> TrainingPlaces:
    """Read a record from :meth:`TrainingPlaces.to_record`.

    Raises:
        ValueError: The record is invalid.
    """
    try:
        step, lon_lat = _unpacked(record["lon_lat"])
        pixels = {str(image): _unpacked(packed)[1] for image, packed in record["pixels"].items()}
        return TrainingPlaces(str(record["sha256"]), int(record["points"]), lon_lat, pixels, step)
    except (AttributeError, KeyError, TypeError, zlib.error, OverflowError) as error:
        raise ValueError("unreadable places of training points") from error


def near_degrees(known: _Floats, asked: _Floats, radius_m: float) -> NDArray[np.bool_]:
    """Return for each location (P, 2) in degrees whether a known location (n, 2) lies within a radius in metres."""
    return near(_on_sphere(known), _on_sphere(asked), radius_m)


def near(known: _Floats, asked: _Floats, radius: float) -> NDArray[np.bool_]:
    """Return for each location (P, D) whether a known location (n, D) lies within a radius.

    Candidates are found along the axis on which the known locations spread most; importing SciPy's trees takes longer.
    """
    found = np.zeros(len(asked), np.bool_)
    finite = np.isfinite(asked).all(axis=1)
    if not len(known) or not finite.any():
        return found
    axis = int(np.ptp(known, axis=0).argmax())
    known, places = known[known[:, axis].argsort()], asked[finite]
    first = np.searchsorted(known[:, axis], places[:, axis] - radius)
    last = np.searchsorted(known[:, axis], places[:, axis] + radius, "right")
    is_near = np.zeros(len(places), np.bool_)
    for step in range(int((last - first).max())):
        left = np.flatnonzero((first + step < last) & ~is_near)
        is_near[left] = np.linalg.norm(known[first[left] + step] - places[left], axis=1) < radius
    found[finite] = is_near
    return found


def rounding(values: _Floats) -> float:
    """Return the largest power of ten from 1e-9 to 1000 that divides all values; 0 if there is none."""
    known = values[np.isfinite(values)]
    for power in range(3, -10, -1):
        step = 10.0**power
        parts = known / step
        if len(known) and np.allclose(
            parts, np.round(parts), rtol=0, atol=max(1e-6, 1e-13 * np.abs(parts).max())
        ):
            return step
    return 0.0


def _on_sphere(lon_lat: _Floats) -> _Floats:
    """Convert to 3-D coordinates (n, 3) in metres on a sphere, which have no break at 180 degrees."""
    lon, lat = np.radians(lon_lat).T
    x, y, z = np.cos(lat) * np.cos(lon), np.cos(lat) * np.sin(lon), np.sin(lat)
    places: _Floats = np.degrees(1.0) * METRES_PER_DEGREE * np.column_stack([x, y, z])
    return places


def _packed(places: _Floats, step: float) -> dict[str, Any]:
    """Encode locations as differences of sorted cell numbers; the cell size grows until the result is small enough."""
    while True:
        cells = np.unique(np.round(places / step).astype(np.int64), axis=0)
        first = cells.min(axis=0) if len(cells) else np.zeros(2, np.int64)
        width = int(np.ptp(cells[:, 0])) + 1 if len(cells) else 1
        numbers = np.sort((cells[:, 1] - first[1]) * width + cells[:, 0] - first[0])
        content = zlib.compress(_varints(np.diff(numbers, prepend=0)), 9)
        if len(content) <= _MAX_BYTES:
            break
        step *= _COARSER
    text = base64.b64encode(content).decode("ascii")
    return {"step": step, "first": first.tolist(), "width": width, "cells": text}


def _unpacked(packed: Mapping[str, Any]) -> tuple[float, _Floats]:
    content = zlib.decompress(base64.b64decode(packed["cells"]))
    numbers = np.cumsum(_from_varints(np.frombuffer(content, np.uint8)))
    step, width = float(packed["step"]), int(packed["width"])
    cells = np.column_stack([numbers % width, numbers // width]) + np.array(packed["first"], np.int64)
    return step, (cells * step).astype(np.float64)


def _varints(numbers: NDArray[np.int64]) -> bytes:
    """Encode numbers as varints: groups of seven bits, lowest first; the high bit marks that more groups follow."""
    rest, groups = numbers.astype(np.uint64), []
    left = np.ones(len(numbers), np.bool_)
    while left.any():
        more = rest >> np.uint64(7)
        groups.append(
            np.where(left, (rest & np.uint64(127)) | np.where(more > 0, 128, 0).astype(np.uint64), 256)
        )
        left, rest = left & (more > 0), more
    table = np.stack(groups, axis=1).ravel() if groups else np.zeros(0)
    return table[table < 256].astype(np.uint8).tobytes()


def _from_varints(content: NDArray[np.uint8]) -> NDArray[np.int64]:
    ends = np.flatnonzero(content < 128)
    starts = np.concatenate([[0], ends[:-1] + 1]) if len(ends) else np.zeros(0, np.intp)
    place = np.arange(ends[-1] + 1 if len(ends) else 0) - np.repeat(starts, ends - starts + 1)
    parts = (content[: len(place)].astype(np.int64) & 127) << (7 * place)
    return np.add.reduceat(parts, starts) if len(starts) else np.zeros(0, np.int64)
