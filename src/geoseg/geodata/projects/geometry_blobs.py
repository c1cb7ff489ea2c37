"""Geometries of GeoPackages: blobs of a header and WKB (OGC 12-128r18, clause 2.1.3)."""

from __future__ import annotations

import math
import sqlite3
import struct
from collections.abc import Callable

import shapely
from shapely.geometry.base import BaseGeometry

_HEADER = struct.Struct("<2sBBi")
_ENVELOPE = struct.Struct("<4d")
_LITTLE_ENDIAN, _XY_ENVELOPE, _EMPTY = 0b1, 0b10, 0b10000
_ENVELOPE_BYTES = (0, 32, 48, 48, 64)


def encode_geometry(shape: BaseGeometry, srs_id: int) -> bytes:
    """Return the blob of a geometry in two dimensions."""
    wkb = bytes(shapely.to_wkb(shape, byte_order=1, output_dimension=2))
    if shape.is_empty:
        return _HEADER.pack(b"GP", 0, _LITTLE_ENDIAN | _EMPTY, srs_id) + wkb
    if shape.geom_type == "Point":
        return _HEADER.pack(b"GP", 0, _LITTLE_ENDIAN, srs_id) + wkb
    west, south, east, north = shape.bounds
    header = _HEADER.pack(b"GP", 0, _LITTLE_ENDIAN | _XY_ENVELOPE, srs_id)
    return header + _ENVELOPE.pack(west, east, south, north) + wkb


def decode_geometry(blob: bytes | None) -> BaseGeometry | None:
    """Return the geometry of a blob in two dimensions; None for an empty or a damaged one."""
    if not blob or blob[:2] != b"GP" or len(blob) < _HEADER.size:
        return None
    kind = (blob[3] >> 1) & 0b111
    if kind >= len(_ENVELOPE_BYTES):
        return None
    try:
        shape = shapely.from_wkb(blob[_HEADER.size + _ENVELOPE_BYTES[kind] :])
    except (shapely.GEOSException, TypeError):
        return None
    return None if shape.is_empty else shapely.force_2d(shape)


def add_geometry_functions(connection: sqlite3.Connection) -> None:
    """Add the SQL functions that triggers of a spatial index call, which QGIS may have created."""
    bounds: dict[str, Callable[[BaseGeometry], float]] = {
        "ST_MinX": lambda shape: shape.bounds[0],
        "ST_MinY": lambda shape: shape.bounds[1],
        "ST_MaxX": lambda shape: shape.bounds[2],
        "ST_MaxY": lambda shape: shape.bounds[3],
    }
    for name, function in bounds.items():
        connection.create_function(name, 1, _of_blob(function), deterministic=True)
    connection.create_function(
        "ST_IsEmpty", 1, lambda blob: None if blob is None else int(decode_geometry(blob) is None)
    )


def _of_blob(function: Callable[[BaseGeometry], float]) -> Callable[[bytes | None], float | None]:
    def call(blob: bytes | None) -> float | None:
        shape = decode_geometry(blob)
        if shape is None:
            return None
        value = function(shape)
        return value if math.isfinite(value) else None

    return call
