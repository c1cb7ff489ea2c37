"""The folder of the feature cache: location, size and clearing, without torch."""

from __future__ import annotations

import os
from pathlib import Path

SUFFIX = ".features"
MIB, GIB = 1 << 20, 1 << 30


def default_cache() -> Path:
    """Return the default folder of features: geoseg/features in the user's cache folder."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "geoseg" / "features"


def cache_size(folder: Path) -> tuple[int, int]:
    """Return the number of feature files in a folder, and their total size in bytes."""
    sizes = [path.stat().st_size for path in folder.glob(f"*{SUFFIX}")]
    return len(sizes), sum(sizes)


def clear_cache(folder: Path) -> None:
    """Remove feature files and partial files from a folder; other files are kept.

    Raises:
        OSError: A file cannot be removed.
    """
    for path in (*folder.glob(f"*{SUFFIX}"), *folder.glob("*.partial")):
        path.unlink(missing_ok=True)
