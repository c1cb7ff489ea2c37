"""Exceptions of libraries in plain words: the net below the checks that know the file and the cause."""

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

_LONGEST = 200
_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate|bad_alloc", re.IGNORECASE)
_MEMORY_HINT = "Close other programs, or use smaller windows (--window) or batches (--batch)."

# By the package that an exception comes from: no library is imported only to ask.
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
    errno.EROFS: (OutputError, "this disk may only be read", "Choose another place."),
    errno.EACCES: (OutputError, "this file or folder may not be used", "Check its permissions."),
    errno.EPERM: (OutputError, "this file or folder may not be used", "Check its permissions."),
    errno.ENOENT: (GeoSegError, "there is no such file or folder", "Was it moved or deleted meanwhile?"),
    errno.ENAMETOOLONG: (OutputError, "this name is too long", "Choose a shorter one."),
    errno.EMFILE: (
        GeoSegError,
        "too many files are open",
        "Raise the limit (ulimit -n), or map fewer rasters at once.",
    ),
    errno.EIO: (GeoSegError, "the disk reports an error", "Check the disk, or copy the file to another one."),
}


def library_fault(error: BaseException) -> GeoSegError | None:
    """Return what a library raised as an error of this program, or None where it says nothing of data or machine."""
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and _NO_MEMORY.search(plain(error))
    ):
        return GeoSegError("there is not enough memory", hint=_MEMORY_HINT)
    for kind in type(error).__mro__:
        package = kind.__module__.partition(".")[0]
        if package in _BY_PACKAGE:
            fault, what = _BY_PACKAGE[package]
            return fault(what, where=getattr(error, "filename", None), got=plain(error))
    if isinstance(error, OSError):
        return _of_system(error)
    if isinstance(error, UnicodeError):
        return DatasetError(
            "a text file has another encoding than was expected", expected="UTF-8", hint="Save it as UTF-8."
        )
    return None


def plain_faults(work: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a function raise exceptions of libraries as errors of this program."""

    @wraps(work)
    def told(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        try:
            return work(*args, **kwargs)
        except GeoSegError:
            raise
        except Exception as error:
            known = library_fault(error)
            if known is None:
                raise
            raise known from error

    return told


def plain(error: BaseException) -> str:
    """Return the first line of what an exception says, without the words of Python."""
    with suppress(Exception):  # some exceptions cannot be written as text
        lines = str(error).strip().splitlines()
        text = re.sub(r"\bnp\.\w+\(([^()]*)\)", r"\1", lines[0] if lines else "no reason")
        text = re.sub(r"^(\[Errno -?\d+\]|\w*(Exception|Error):) ", "", text)
        return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
    return "no reason"


def _of_system(error: OSError) -> GeoSegError:
    number = error.errno or 0
    kind, what, hint = _BY_NUMBER.get(number, (GeoSegError, "a file or a connection cannot be used", None))
    got = None if number in _BY_NUMBER else error.strerror or plain(error)
    return kind(what, where=error.filename, got=got, hint=hint)
