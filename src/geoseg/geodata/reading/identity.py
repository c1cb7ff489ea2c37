"""The identity of a raster: what tells it and its present content from others."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from urllib.request import Request, build_opener

from geoseg.geodata.reading.opening import remote_url
from geoseg.geodata.reading.sources import files_behind, sources_behind

Identity = list[list[str | int | None]]

_TIMEOUT_S = 30


def raster_identity(path: Path) -> Identity:
    """Return an entry for every file that a raster's pixels come from, in a fixed order; JSON values.

    For files of this machine these are path, size and time of the last change in nanoseconds; for files read over
    HTTP address, ETag, Last-Modified and length, None where the server does not tell. A virtual raster (VRT) stands
    for its sources too, down to the last.

    Raises:
        RasterError: The raster cannot be opened.
    """
    names = sources_behind(path)
    urls = sorted({url for url in map(_url_of, names) if url is not None})
    files = [(str(file.resolve()), file.stat()) for file in files_behind(path, names)]
    local: Identity = [[name, state.st_size, state.st_mtime_ns] for name, state in files]
    return [*local, *(_of_url(url) for url in urls)]


def first_changed_file(before: Identity, now: Identity) -> str | None:
    """Return the path or address of the first file in which two identities of a raster differ, or None.

    Files that changed or are gone come first, then those that were added.
    """
    differing = [one for one in before if one not in now] + [one for one in now if one not in before]
    return str(differing[0][0]) if differing else None


def _url_of(name: str) -> str | None:
    return remote_url(Path(name.removeprefix("/vsicurl/")))


def _of_url(url: str) -> list[str | int | None]:
    try:
        # An opener of its own: the shared one keeps the proxies of the first call in the process.
        with build_opener().open(Request(url, method="HEAD"), timeout=_TIMEOUT_S) as answer:
            head = answer.headers
    except (OSError, HTTPException):
        return [url, None, None, None]
    length = head.get("Content-Length") or ""
    return [url, head.get("ETag"), head.get("Last-Modified"), int(length) if length.isdecimal() else None]
