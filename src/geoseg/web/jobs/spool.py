"""Remove leftover uploads of killed processes."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from geoseg.settings.serving import ServeSettings

FOLDER = "uploads"
MAX_IDLE_S = 24 * 3600.0

_FileState = tuple[int, int]


class Spool:
    """The folder of uploads.

    An upload that has not changed for 24 hours belongs to no running request. Idle times are measured by a monotonic
    clock, which no change of the system time affects.

    Args:
        settings: How models are served.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._folder = settings.data.resolve() / FOLDER
        self._unchanged_since = dict[Path, tuple[_FileState, float]]()

    def clear(self, now: float | None = None) -> list[str]:
        """Remove uploads that have not changed for 24 hours, and return their names.

        Args:
            now: Seconds of a monotonic clock; None: of this machine's clock.
        """
        now = time.monotonic() if now is None else now
        self._observe(now)
        old = [path for path, (_, since) in self._unchanged_since.items() if now - since > MAX_IDLE_S]
        for path in old:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        return [path.name for path in old]

    def _observe(self, now: float) -> None:
        """Record since when each upload has not changed."""
        observed = dict[Path, tuple[_FileState, float]]()
        for path in self._folder.iterdir() if self._folder.is_dir() else ():
            with suppress(FileNotFoundError):  # Its request may have ended meanwhile.
                state = _state(path)
                before = self._unchanged_since.get(path)
                observed[path] = before if before is not None and before[0] == state else (state, now)
        self._unchanged_since = observed


def _state(path: Path) -> _FileState:
    status = path.stat()
    return status.st_size, status.st_mtime_ns
