"""The SQLite file of the API keys: made whole, opened for threads and processes, its faults named."""

from __future__ import annotations

import os
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from weakref import WeakSet, finalize

from geoseg.errors import OutputError

_VERSION = 1
_SCHEMA = f"""
PRAGMA journal_mode = WAL;
PRAGMA user_version = {_VERSION};
CREATE TABLE keys (
    id TEXT PRIMARY KEY, name TEXT NOT NULL, hash BLOB NOT NULL,
    per_minute INTEGER NOT NULL, pixels_per_day INTEGER NOT NULL,
    created REAL NOT NULL, last_used REAL, revoked REAL, next_slot INTEGER NOT NULL DEFAULT 0
);
CREATE UNIQUE INDEX names_in_use ON keys (name) WHERE revoked IS NULL;
CREATE TABLE requests (key TEXT, slot INTEGER, at REAL NOT NULL, PRIMARY KEY (key, slot)) WITHOUT ROWID;
CREATE TABLE pixels (key TEXT, day INTEGER, used INTEGER NOT NULL, PRIMARY KEY (key, day)) WITHOUT ROWID;
"""
_REPLACE = "Stop the service, move it and its -wal file away, and put a copy in its place or make new keys."
_LOG_BYTES = 4 * 2**20  # to which the log is cut when a burst that made it longer is over
_HINTS = {
    sqlite3.SQLITE_BUSY: "Another process holds it; try again.",
    sqlite3.SQLITE_FULL: "Make room on its disk.",
    sqlite3.SQLITE_CORRUPT: _REPLACE,
    sqlite3.SQLITE_NOTADB: _REPLACE,
}
_DEFAULT_HINT = "Look whether this user may read and write it and its folder, and whether its disk has room."

_Stamp = tuple[int, int, int]
_Idle = deque[tuple[_Stamp, sqlite3.Connection]]


class KeyFile:
    """One file, made if it is missing, for any number of threads and processes at once.

    Connections are opened as needed and kept for the next who asks. One is not used again when the
    file was replaced by another, so that what is revoked in the new one counts at once.

    Args:
        path: The file; it gets mode 0600, and its folder, where it is made, 0700.
        busy_timeout_s: How long others may hold the file before that is a fault.

    Raises:
        OutputError: The file cannot be made or opened, or is no store of keys of this version.
    """

    def __init__(self, path: Path, busy_timeout_s: float) -> None:
        self.path = path.absolute()
        self._busy_timeout_s = busy_timeout_s
        self._idle: _Idle = deque()
        finalize(self, _close, self._idle)
        _FILES.add(self)
        with _translated_errors(self.path):
            if not self.path.exists():
                _create(self.path)
        with self.reading() as connection:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version != _VERSION:
            raise OutputError(
                "this is not a store of keys, or one of another version",
                where=self.path,
                expected=f"version {_VERSION}",
                got=version,
                hint=_REPLACE,
            )

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Lend a connection for single statements.

        Raises:
            OutputError: The file is locked, damaged, gone or closed to this user, or the disk is full.
        """
        with _translated_errors(self.path):
            # Before it is opened: a file put in its place in between is then noticed the next time.
            stamp = _stamp(self.path)
            connection = self._take_idle(stamp) or self._open()
            try:
                yield connection
            finally:
                self._idle.append((stamp, connection))

    @contextmanager
    def writing(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Lend a connection within a transaction that no other writer overlaps.

        Args:
            durable: Whether it must survive a loss of power that follows at once. Takes an fsync.

        Raises:
            OutputError: As for ``reading``; nothing is written then.
        """
        with self.reading() as connection, connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def close(self) -> None:
        """Close the connections that nobody uses; the next call opens one again."""
        _close(self._idle)

    def _take_idle(self, stamp: _Stamp) -> sqlite3.Connection | None:
        with suppress(IndexError):  # none left, perhaps since another thread took it just now
            while True:
                known, connection = self._idle.pop()
                if known == stamp:
                    return connection
                connection.close()
        return None

    def _open(self) -> sqlite3.Connection:
        # mode=rw: a file that was removed is a fault, not a store without keys.
        connection = sqlite3.connect(
            f"{self.path.as_uri()}?mode=rw",
            uri=True,
            timeout=self._busy_timeout_s,
            isolation_level=None,
            check_same_thread=False,
        )
        connection.execute(f"PRAGMA journal_size_limit = {_LOG_BYTES}")
        return connection


def _create(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _check_no_leftover_log(path)
    # Made aside and linked: nobody meets a file without tables, and of two makers one wins.
    with TemporaryDirectory(prefix=".keys-", dir=path.parent) as folder:
        aside = Path(folder) / path.name
        with closing(sqlite3.connect(aside)) as connection:
            connection.executescript(_SCHEMA)
        aside.chmod(0o600)
        with suppress(FileExistsError):
            path.hardlink_to(aside)


def _check_no_leftover_log(path: Path) -> None:
    # SQLite would write what is left of an old file's log into the new file.
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and not path.exists():
        raise OutputError(
            "this belongs to a store of keys that is gone",
            where=log,
            hint=f"Put {path.name} back beside it, or move it away and make new keys.",
        )


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return os.getpid(), status.st_dev, status.st_ino


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the rest of an extended code says more
        hint = _HINTS.get(code, _DEFAULT_HINT)
        raise OutputError("the store of keys cannot be used", where=path, got=error, hint=hint) from error
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            "the store of keys cannot be used", where=path, got=reason, hint=_DEFAULT_HINT
        ) from error


def _close(idle: _Idle) -> None:
    with suppress(IndexError):
        while True:
            idle.pop()[1].close()


def _close_all() -> None:
    for file in list(_FILES):
        file.close()


_FILES: WeakSet[KeyFile] = WeakSet()
if hasattr(os, "register_at_fork"):
    # SQLite's locks belong to a process: a child that inherits a connection believes it holds its parent's.
    os.register_at_fork(before=_close_all)
