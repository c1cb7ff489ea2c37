"""Identify a raster and the current state of its files."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, build_opener

from geoseg.geodata.reading.opening import remote_url
from geoseg.geodata.reading.sources import local_files, source_names

Identity = list[list[str | int | None]]

_TIMEOUT_S = 30


def raster_identity(path: Path) -> Identity:
    """Return an entry for each file that a raster reads pixels from, in a fixed order; JSON values.

    A local file gives path, size and modification time in nanoseconds. A file read over HTTP gives URL, ETag,
    Last-Modified and length, None for each missing header. A virtual raster (VRT) includes its sources, recursively.

    Raises:
        RasterError: The raster cannot be opened.
    """
    names = source_names(path)
    urls = sorted({url for url in map(_url_of, names) if url is not None})
    files = [(str(file.resolve()), file.stat()) for file in local_files(path, names)]
    local: Identity = [[name, state.st_size, state.st_mtime_ns] for name, state in files]
    return [*local, *(_of_url(url) for url in urls)]


def first_changed_file(before: Identity, now: Identity) -> str | None:
    """Return the path or URL of the first file that differs between two identities of a raster, or None.

    Changed and missing files come first, then added ones.
    """
    differing = [file for file in before if file not in now] + [file for file in now if file not in before]
    return str(differing[0][0]) if differing else None


def _url_of(name: str) -> str | None:
    return remote_url(Path(name.removeprefix("/vsicurl/")))


def _of_url(url: str) -> list[str | int | None]:
    try:
        # The shared opener would keep the proxies of the first call in the process, so build a new one.
        with build_opener().open(Request(url, method="HEAD"), timeout=_TIMEOUT_S) as answer:
            head = answer.headers
    except (OSError, HTTPException):
        return [url, None, None, None]
    length = head.get("Content-Length") or ""
    return [url, head.get("ETag"), head.get("Last-Modified"), int(length) if length.isdecimal() else None]
