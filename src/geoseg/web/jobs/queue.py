"""Where jobs wait: a queue of identifiers, on SQLite or Redis."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from geoseg.errors import SettingsError
from geoseg.settings.serving import ServeSettings
from geoseg.web.jobs.records import is_id

LOG = logging.getLogger("geoseg.worker")
QUEUE_NAME = "geoseg-jobs"
REDIS_TIMEOUT_S = 5.0

T = TypeVar("T")


class JobQueue:
    """A queue whose entries are identifiers of jobs and nothing else.

    It may lose entries or give them twice: what is stored of a job decides. Without its server nothing is raised; it
    is logged once, and the next call tries again.

    Args:
        storage: A storage of huey's, which keeps the entries. Its tasks are not used: they would be pickled, and who
            can write to the queue could run code here.
        errors: What the storage raises when it cannot be reached.
        close: Lets go of the storage's connections.
    """

    def __init__(
        self, storage: Any, errors: tuple[type[Exception], ...], close: Callable[[], object]
    ) -> None:
        self.close = close
        self._storage, self._errors = storage, errors
        self._is_down = False

    def enqueue(self, job_id: str) -> bool:
        """Add a job; say whether that was possible."""
        return self._call_storage(lambda: self._storage.enqueue(job_id.encode()) or True) is not None

    def dequeue(self) -> str | None:
        """Take the first job; None when there is none, or the queue cannot be reached. Does not wait."""
        entry = self._call_storage(self._storage.dequeue)
        return _to_id(entry) if entry is not None else None

    def waiting(self) -> frozenset[str] | None:
        """Return the jobs that wait, or None when the queue cannot be reached."""
        entries = self._call_storage(self._storage.enqueued_items)
        return frozenset(filter(None, map(_to_id, entries))) if entries is not None else None

    def _call_storage(self, call: Callable[[], T]) -> T | None:
        try:
            answer = call()
        except self._errors as error:
            if not self._is_down:
                LOG.warning("queue down", extra={"fault": type(error).__name__})
            self._is_down = True
            return None
        if self._is_down:
            LOG.info("queue up again")
        self._is_down = False
        return answer


def open_queue(settings: ServeSettings) -> JobQueue:
    """Return the queue that the settings name. Redis need not be there yet.

    Raises:
        SettingsError: What it needs is not installed, or the address or the file cannot be used.
    """
    try:
        import huey.storage  # noqa: F401
        import redis  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "the queue of jobs needs packages that are not installed",
            expected="huey and redis",
            hint="pip install 'geoseg-pointai[serve]'",
        ) from error
    return _on_sqlite(settings.data) if settings.queue == "sqlite" else _on_redis(settings.queue)


def _on_sqlite(data: Path) -> JobQueue:
    from huey.storage import SqliteStorage

    path = data.resolve() / "queue.sqlite"
    try:
        # SQLite's other files take the mode of the first.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        storage = SqliteStorage(QUEUE_NAME, filename=str(path), strict_fifo=True)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError("the queue of jobs cannot be opened", where=path, got=error) from error
    return JobQueue(storage, (sqlite3.Error,), storage.close)


def _on_redis(address: str) -> JobQueue:
    from huey.storage import RedisStorage
    from redis import ConnectionPool, RedisError
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        pool = ConnectionPool.from_url(
            address,
            socket_timeout=REDIS_TIMEOUT_S,
            socket_connect_timeout=REDIS_TIMEOUT_S,
            # Once: a connection may be from before the server was started anew.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        # Not quoted: it may hold a password.
        raise SettingsError("this is not an address of Redis", where="--queue") from error
    storage = RedisStorage(QUEUE_NAME, blocking=False, connection_pool=pool)
    return JobQueue(storage, (RedisError, OSError), pool.disconnect)


def _to_id(entry: bytes) -> str | None:
    text = bytes(entry).decode("ascii", "replace")
    return text if is_id(text) else None
