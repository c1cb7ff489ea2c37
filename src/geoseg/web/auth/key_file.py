"""SQLite file of the API keys, shared by threads and processes."""

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
_REPLACE = "Stop the service, move the file and its -wal file away, then restore a backup or create new keys."
_LOG_BYTES = 4 * 2**20  # size of the write-ahead log after a burst of writes
_HINTS = {
    sqlite3.SQLITE_BUSY: "Another process has locked the file; try again.",
    sqlite3.SQLITE_FULL: "Free space on its disk.",
    sqlite3.SQLITE_CORRUPT: _REPLACE,
    sqlite3.SQLITE_NOTADB: _REPLACE,
}
_DEFAULT_HINT = (
    "Check that this user may read and write the file and its folder, and that the disk is not full."
)

_Stamp = tuple[int, int, int]
_Idle = deque[tuple[_Stamp, sqlite3.Connection]]


class KeyFile:
    """SQLite file with a pool of connections, safe for threads and processes.

    A pooled connection is closed if the file was replaced. Keys revoked in the new file are therefore rejected
    immediately.

    Args:
        path: The file; created with mode 0600, in a folder with mode 0700, if missing.
        busy_timeout_s: Time to wait for a locked file, in seconds.

    Raises:
        OutputError: The file cannot be created or opened, or is no key store of this version.
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
                "this is not a key store of this version",
                where=self.path,
                expected=f"version {_VERSION}",
                got=version,
                hint=_REPLACE,
            )

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection for single statements.

        Raises:
            OutputError: The file is locked, damaged, missing or not accessible, or the disk is full.
        """
        with _translated_errors(self.path):
            # Read the stamp first, so that a replacement during the opening is noticed next time.
            stamp = _stamp(self.path)
            connection = self._take_idle(stamp) or self._open()
            try:
                yield connection
            finally:
                self._idle.append((stamp, connection))

    @contextmanager
    def writing(self, *, durable: bool) -> Iterator[sqlite3.Connection]:
        """Yield a connection inside an exclusive write transaction.

        Args:
            durable: Whether the commit must survive a loss of power; costs an fsync.

        Raises:
            OutputError: As for ``reading``; nothing is written.
        """
        with self.reading() as connection, connection:
            connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
            connection.execute("BEGIN IMMEDIATE")
            yield connection

    def close(self) -> None:
        """Close the idle connections; the next call opens a new one."""
        _close(self._idle)

    def _take_idle(self, stamp: _Stamp) -> sqlite3.Connection | None:
        with suppress(IndexError):  # another thread may take the last connection meanwhile
            while True:
                known, connection = self._idle.pop()
                if known == stamp:
                    return connection
                connection.close()
        return None

    def _open(self) -> sqlite3.Connection:
        # mode=rw: a deleted file is an error, not an empty store.
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
    # Create the file under another name and link it: no process sees a file without tables.
    with TemporaryDirectory(prefix=".keys-", dir=path.parent) as folder:
        aside = Path(folder) / path.name
        with closing(sqlite3.connect(aside)) as connection:
            connection.executescript(_SCHEMA)
        aside.chmod(0o600)
        with suppress(FileExistsError):
            path.hardlink_to(aside)


def _check_no_leftover_log(path: Path) -> None:
    # SQLite would replay the log of the old file into the new one.
    log = path.with_name(f"{path.name}-wal")
    if log.exists() and not path.exists():
        raise OutputError(
            "this log belongs to a missing key store",
            where=log,
            hint=f"Restore {path.name} in the same folder, or move the log away and create new keys.",
        )


def _stamp(path: Path) -> _Stamp:
    status = path.stat()
    return os.getpid(), status.st_dev, status.st_ino


@contextmanager
def _translated_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # primary part of an extended result code
        hint = _HINTS.get(code, _DEFAULT_HINT)
        raise OutputError("the key store cannot be used", where=path, got=error, hint=hint) from error
    except OSError as error:
        reason = error.strerror or error
        raise OutputError(
            "the key store cannot be used", where=path, got=reason, hint=_DEFAULT_HINT
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
    # SQLite's locks belong to a process: a forked child must not inherit a connection.
    os.register_at_fork(before=_close_all)
