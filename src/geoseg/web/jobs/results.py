"""Result files of jobs."""

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
    """A result file of a job; its size is in bytes."""

    name: str
    size: int
    media_type: str


def list_results(folder: Path) -> list[Result]:
    """Return the finished files of a folder, sorted by name; hidden files are unfinished."""
    if not folder.is_dir():
        return []
    files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    sizes = [(path.name, _size(path)) for path in files]
    return [Result(name, size, _media_type(name)) for name, size in sizes if size is not None]


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # Removed meanwhile.
        return None


def _media_type(name: str) -> str:
    return next(
        (t for ending, t in _MEDIA_TYPES.items() if name.endswith(ending)), "application/octet-stream"
    )
