"""Clear what killed processes left in the folder of uploads."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from geoseg.settings.serving import ServeSettings

FOLDER = "uploads"
SPARE_S = 3600.0


class Spool:
    """The folder of uploads, and since when each has been seen there, by a clock that nobody can set.

    Uploads have names that do not come again, and no request lasts as long as the settings allow and an hour more.

    Args:
        settings: How models are served.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._folder = settings.data.resolve() / FOLDER
        self._most_s = settings.upload_timeout_s + settings.timeout_s + SPARE_S
        self._seen = dict[Path, float]()

    def clear(self, now: float | None = None) -> list[str]:
        """Remove what has been there for too long, and return its names.

        Args:
            now: Seconds of a clock that only goes forward; None: this machine's.
        """
        now = time.monotonic() if now is None else now
        there = list(self._folder.iterdir()) if self._folder.is_dir() else []
        self._seen = {path: self._seen.get(path, now) for path in there}
        old = [path for path, since in self._seen.items() if now - since > self._most_s]
        for path in old:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return [path.name for path in old]
