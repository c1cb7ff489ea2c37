"""Report the size of the feature cache, and empty it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from geoseg.errors import OutputError
from geoseg.learning.cache_folder import cache_size, clear_cache, default_cache


@dataclass(frozen=True)
class CacheInfo:
    """Size of a folder of cached features.

    Attributes:
        folder: The folder.
        files: Number of feature files in it.
        bytes: Their total size.
    """

    folder: Path
    files: int
    bytes: int


def cache_info(folder: Path | None = None) -> CacheInfo:
    """Return the size of the feature cache; None is the default folder of training."""
    folder = folder or default_cache()
    return CacheInfo(folder, *cache_size(folder))


def cache_clear(folder: Path | None = None) -> CacheInfo:
    """Remove the cached features, and return their number and size before.

    Raises:
        OutputError: A file cannot be removed.
    """
    found = cache_info(folder)
    try:
        clear_cache(found.folder)
    except OSError as error:
        raise OutputError(
            "the cached features cannot be removed", where=found.folder, got=error.strerror
        ) from error
    return found
