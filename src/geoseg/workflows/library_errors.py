"""Translate exceptions of libraries to GeoSegErrors, where no earlier check found the file and the cause."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import ParamSpec, TypeVar

from geoseg.errors import (
    DatasetError,
    GeoSegError,
    ModelFileError,
    OutputError,
    PointsError,
    RasterError,
    SettingsError,
)

_P = ParamSpec("_P")
_R = TypeVar("_R")

_MAX_LENGTH = 200
_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate|bad_alloc", re.IGNORECASE)
_MEMORY_HINT = "Close other programs, or use smaller windows (--window) or batches (--batch)."

# Keyed by package name, so that no library is imported for the lookup.
_BY_PACKAGE: dict[str, tuple[type[GeoSegError], str]] = {
    "rasterio": (RasterError, "a raster cannot be read or written"),
    "pyogrio": (PointsError, "a file of points or polygons cannot be read or written"),
    "fiona": (PointsError, "a file of points or polygons cannot be read or written"),
    "pyproj": (RasterError, "a coordinate reference system cannot be used"),
    "shapely": (PointsError, "a point or polygon cannot be used"),
    "pandas": (PointsError, "a table cannot be read"),
    "sqlite3": (OutputError, "a database file cannot be used"),
    "safetensors": (ModelFileError, "a model or weights file is damaged"),
    "zipfile": (DatasetError, "a zip file is damaged"),
    "zlib": (DatasetError, "a compressed file is damaged"),
    "json": (SettingsError, "a JSON file cannot be read"),
    "tomllib": (SettingsError, "a TOML file cannot be read"),
    "onnxruntime": (ModelFileError, "ONNX Runtime cannot run this model"),
    "openvino": (ModelFileError, "OpenVINO cannot run this model"),
}
_BY_NUMBER: dict[int, tuple[type[GeoSegError], str, str]] = {
    errno.ENOSPC: (OutputError, "the disk is full", "Free some space or choose another place."),
    errno.EDQUOT: (OutputError, "the disk quota is used up", "Free some space or choose another place."),
    errno.EFBIG: (OutputError, "the file is too large for this disk", "Choose another place."),
    errno.EROFS: (OutputError, "this disk is read-only", "Choose another place."),
    errno.EACCES: (OutputError, "access to this file or folder is denied", "Check its permissions."),
    errno.EPERM: (OutputError, "access to this file or folder is denied", "Check its permissions."),
    errno.ENOENT: (GeoSegError, "no such file or folder", "Check whether it was moved or deleted."),
    errno.ENAMETOOLONG: (OutputError, "this file name is too long", "Choose a shorter one."),
    errno.EMFILE: (
        GeoSegError,
        "too many files are open",
        "Raise the limit (ulimit -n), or map fewer rasters at once.",
    ),
    errno.EIO: (GeoSegError, "the disk reports an error", "Check the disk, or copy the file to another one."),
}


def translate_error(error: BaseException) -> GeoSegError | None:
    """Return the GeoSegError for an exception of a library, or None for a programming error."""
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(first_line(error))
    ):
        return GeoSegError("there is not enough memory", hint=_MEMORY_HINT)
    for kind in type(error).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _BY_PACKAGE:
            fault, what = _BY_PACKAGE[package]
            return fault(what, where=getattr(error, "filename", None), got=first_line(error))
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, UnicodeError):
        return DatasetError("a text file has the wrong encoding", expected="UTF-8", hint="Save it as UTF-8.")
    return None


def translate_library_errors(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Decorate a function to raise exceptions of libraries as GeoSegErrors."""

    @wraps(work)
    def wrapper(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return work(*args, **kwargs)
        except GeoSegError:
            raise
        except Exception as error:
            known = translate_error(error)
            if known is None:
                raise
            raise known from error

    return wrapper


def first_line(error: BaseException) -> str:
    """Return the first line of an exception's message, without Python type names."""
    with suppress(Exception):  # some exceptions cannot be written as text
        lines = str(error).strip().splitlines()
        text = re.sub(r"\bnp\.\w+\(([^()]*)\)", r"\1", lines[0] if lines else "no reason")
        text = re.sub(r"^(\[Errno -?\d+\]|\w*(Exception|Error):) ", "", text)
        return text if len(text) <= _MAX_LENGTH else f"{text[:_MAX_LENGTH]} ..."
    return "no reason"


def _of_system(error: OSError) -> GeoSegError:
    number = error.errno or 0
    kind, what, hint = _BY_NUMBER.get(number, (GeoSegError, "a file or a connection cannot be used", None))
    got = None if number in _BY_NUMBER else error.strerror or first_line(error)
    return kind(what, where=error.filename, got=got, hint=hint)
