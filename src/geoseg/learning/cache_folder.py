"""The folder of the feature cache: where it is, what it takes, and how to empty it; without torch."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".features"
MIB, GIB = 1 << 20, 1 << 30


def default_cache() -> Path:
    """Return the folder of features where none is named: geoseg/features in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "geoseg" / "features"


def cache_size(folder: Path) -> tuple[int, int]:
    """Return how many files of features a folder holds, and their bytes."""
    sizes = [path.stat().st_size for path in folder.glob(f"*{SUFFIX}")]
    return len(sizes), sum(sizes)


def clear_cache(folder: Path) -> None:
    """Remove the files of features, and what writing them left, from a folder; nothing else in it is touched.

    Raises:
        OSError: A file cannot be removed.
    """
    for path in (*folder.glob(f"*{SUFFIX}"), *folder.glob("*.partial")):
        path.unlink(missing_ok=True)
