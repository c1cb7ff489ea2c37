"""No exception of a library reaches the user as Python: each becomes one line."""

from __future__ import annotations

import errno
import importlib
import json
import os
import re
import sqlite3
import sys
import tomllib
import zipfile
import zlib
from collections.abc import Iterator
from urllib.error import URLError

import numpy as np
import pyogrio.errors
import pyproj.exceptions
import pytest
import rasterio._err
import safetensors
import shapely
import torch

from geoseg import __main__ as door
from geoseg.errors import GeoSegError, OutputError
from geoseg.workflows.library_errors import first_line, translate_error, translate_library_errors

MODULES = [
    "rasterio.errors",
    "rasterio._err",
    "pyogrio.errors",
    "pyproj.exceptions",
    "shapely.errors",
    "pandas.errors",
    "safetensors",
    "zipfile",
    "zlib",
    "json",
    "tomllib",
    "sqlite3",
]
PYTHON = re.compile(
    r"Traceback|Error\(|np\.|KeyError|TypeError|ValueError|Exception|\bNone\b|object at|\.py\b|<class"
)


def exceptions() -> Iterator[type[Exception]]:
    """Yield every exception that these modules and Python's own tree of OSError have."""
    for name in MODULES:
        for kind in vars(importlib.import_module(name)).values():
            is_fault = (
                isinstance(kind, type) and issubclass(kind, Exception) and not issubclass(kind, Warning)
            )
            if is_fault and kind.__module__.partition(".")[0] == name.partition(".")[0]:
                yield kind
    yield from (kind for kind in [OSError, *OSError.__subclasses__()] if kind.__module__ == "builtins")
    yield from (
        MemoryError,
        torch.OutOfMemoryError,
        UnicodeError,
        UnicodeDecodeError,
        UnicodeEncodeError,
        URLError,
    )


def raised(kind: type[Exception]) -> Exception:
    """Return an exception of a kind, made without its constructor, which may ask for anything."""
    text = "cannot open 'a.tif': out of memory"
    if issubclass(kind, rasterio._err.CPLE_BaseError):
        return kind(1, 2, text)
    fault = kind.__new__(kind)
    fault.args = (text,)
    return fault


EVERY = sorted(set(exceptions()), key=lambda kind: f"{kind.__module__}.{kind.__name__}")


@pytest.mark.parametrize("kind", EVERY, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
def test_every_exception_of_a_library_is_one_plain_line(geoseg, monkeypatch, kind):
    def fail(**_options: object) -> None:
        raise raised(kind)

    monkeypatch.setattr(door, "app", fail)
    outcome = geoseg("info", "a.tif")

    assert outcome.err.startswith("Error: ")
    assert outcome.err.count("\n") == 1
    assert not PYTHON.search(outcome.err), outcome.err
    assert 0 < outcome.code < door.INTERNAL_ERROR
    with pytest.raises(GeoSegError):
        translate_library_errors(fail)()


@pytest.mark.parametrize(
    "kind", [KeyError, TypeError, IndexError, AttributeError, ZeroDivisionError, AssertionError]
)
def test_an_unforeseen_fault_is_one_line_that_says_what_to_report(geoseg, monkeypatch, kind):
    def fail(**_options: object) -> None:
        raise kind("x")

    monkeypatch.setattr(door, "app", fail)
    outcome = geoseg("info", "a.tif")

    assert outcome.code == door.INTERNAL_ERROR
    assert outcome.err.count("\n") == 1
    assert "Please report it" in outcome.err
    assert "GEOSEG_DEBUG=1" in outcome.err
    assert not PYTHON.search(outcome.err)
    monkeypatch.setenv("GEOSEG_DEBUG", "1")
    assert "Traceback" in geoseg("info", "a.tif").err
    with pytest.raises(kind):
        translate_library_errors(fail)()


def test_what_real_libraries_raise_is_known(tmp_path):
    text = tmp_path / "a.txt"
    text.write_bytes(b"\xff\xfe\xfd no format at all")

    def tell(work):
        with pytest.raises(GeoSegError) as told:
            translate_library_errors(work)()
        assert not PYTHON.search(str(told.value)), str(told.value)
        return str(told.value)

    assert "raster" in tell(lambda: rasterio.open(text))
    assert "points or polygons" in tell(lambda: pyogrio.read_dataframe(text))
    assert "point or polygon" in tell(lambda: shapely.from_wkt("POINT (1"))
    assert "coordinate reference system" in tell(lambda: pyproj.CRS("EPSG:0"))
    assert "model or weights" in tell(lambda: safetensors.safe_open(text, "pt"))
    assert "zip" in tell(lambda: zipfile.ZipFile(text))
    assert "compressed" in tell(lambda: zlib.decompress(b"x"))
    assert "JSON" in tell(lambda: json.loads("{"))
    assert "TOML" in tell(lambda: tomllib.loads("="))
    assert "database" in tell(lambda: sqlite3.connect(text).execute("select 1 from a"))
    assert "UTF-8" in tell(lambda: text.read_text(encoding="utf-8"))
    assert "no such file" in tell((tmp_path / "none").read_bytes)
    assert "too long" in tell(lambda: (tmp_path / ("x" * 300)).write_text(""))
    assert "memory" in tell(lambda: np.zeros(2**48))
    assert "memory" in tell(lambda: torch.empty(2**58))


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_fault_of_the_disk_names_the_file_and_what_to_do(number):
    told = translate_error(OSError(number, os.strerror(number), "/maps/a.tif"))

    assert told is not None
    assert str(told.where) == "/maps/a.tif"
    assert told.hint
    assert isinstance(told, OutputError) or number == errno.EIO


def test_numbers_are_shown_without_their_types():
    assert (
        first_line(ValueError(f"no class {np.str_('wood')!r}, only {np.float32(2)!r}\nmore"))
        == "no class 'wood', only 2.0"
    )
    assert len(first_line(ValueError("x" * 999))) < 250


def test_the_terminal_shows_no_notes_of_libraries(geoseg, monkeypatch):
    import logging
    import warnings

    def note(**_options: object) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("an option is deprecated", DeprecationWarning, stacklevel=1)
        logging.getLogger("library").warning("CPLE_AppDefined in a.tif")
        sys.exit(0)

    monkeypatch.setattr(door, "app", note)
    assert geoseg("info").err == ""
