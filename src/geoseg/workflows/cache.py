"""Say what the feature cache takes, and empty it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.learning.cache_folder import cache_size, clear_cache, default_cache


@dataclass(frozen=True)
class CacheInfo:
    """What a folder of kept features takes.

    Attributes:
        folder: The folder.
        files: Files of features in it.
        bytes: Their size.
    """

    folder: Path
    files: int
    bytes: int


def cache_info(folder: Path | None = None) -> CacheInfo:
    """Return what the feature cache takes; None: the folder that trainings use by default."""
    folder = folder or default_cache()
    return CacheInfo(folder, *cache_size(folder))


def cache_clear(folder: Path | None = None) -> CacheInfo:
    """Remove the kept features, and return what they took.

    Raises:
        OutputError: A file cannot be removed.
    """
    found = cache_info(folder)
    try:
        clear_cache(found.folder)
    except OSError as error:
        raise OutputError(
            "kept features cannot be removed", where=found.folder, got=error.strerror
        ) from error
    return found
