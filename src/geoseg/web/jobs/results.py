"""The files that jobs make, as clients are told of them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

COG = "image/tiff; application=geotiff; profile=cloud-optimized"
_MEDIA_TYPES = {
    ".stac.json": "application/geo+json",
    ".json": "application/json",
    ".csv": "text/csv",
    ".tif": COG,
    ".gpkg": "application/geopackage+sqlite3",
    ".qml": "application/xml",
    ".xml": "application/xml",
}


@dataclass(frozen=True)
class Result:
    """A file that a job made."""

    name: str
    size: int
    media_type: str


def list_results(folder: Path) -> list[Result]:
    """Return the finished files in a folder by name; hidden ones are still being written."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    sizes = [(path.name, _size(path)) for path in files]
    return [Result(name, size, _media_type(name)) for name, size in sizes if size is not None]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # It has just been removed.
        return None


def _media_type(name: str) -> str:
    return next(
        (t for ending, t in _MEDIA_TYPES.items() if name.endswith(ending)), "application/octet-stream"
    )
