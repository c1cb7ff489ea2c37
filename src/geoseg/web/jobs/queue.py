"""Queue of job identifiers, on SQLite or Redis."""

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
    """A queue of job identifiers.

    The queue may lose or repeat entries: the job store decides whether a job runs. If its server cannot be reached, the
    queue logs that once and raises nothing; the next call tries again.

    Args:
        storage: Storage of the huey package. The tasks of huey are not used: they are pickled, so that anyone with write
            access to the queue could run code here.
        errors: Exceptions of the storage when it cannot be reached.
        close: Closes the connections of the storage.
    """

    def __init__(
        self, storage: Any, errors: tuple[type[Exception], ...], close: Callable[[], object]
    ) -> None:
        self.close = close
        self._storage, self._errors = storage, errors
        self._is_down = False

    def enqueue(self, job_id: str) -> bool:
        """Add a job; return whether the queue could be reached."""
        return self._call_storage(lambda: self._storage.enqueue(job_id.encode()) or True) is not None

    def dequeue(self) -> str | None:
        """Remove and return the first job, without waiting; None if the queue is empty or cannot be reached."""
        entry = self._call_storage(self._storage.dequeue)
        return _to_id(entry) if entry is not None else None

    def waiting(self) -> frozenset[str] | None:
        """Return the queued jobs, or None if the queue cannot be reached."""
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
    """Return the queue of the settings; Redis may start later.

    Raises:
        SettingsError: A package is not installed, or the address or the file cannot be used.
    """
    try:
        import huey.storage  # noqa: F401
        import redis  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            "the job queue needs packages that are not installed",
            expected="huey and redis",
            hint="pip install 'geoseg-pointai[serve]'",
        ) from error
    return _on_sqlite(settings.data) if settings.queue == "sqlite" else _on_redis(settings.queue)


def _on_sqlite(data: Path) -> JobQueue:
    from huey.storage import SqliteStorage

    path = data.resolve() / "queue.sqlite"
    try:
        # SQLite creates its other files with the mode of this file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        storage = SqliteStorage(QUEUE_NAME, filename=str(path), strict_fifo=True)
    except (OSError, sqlite3.Error) as error:
        raise SettingsError("the job queue cannot be opened", where=path, got=error) from error
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
            # Retry once: the server may have restarted since the connection was opened.
            retry=Retry(NoBackoff(), 1),
        )
    except ValueError as error:
        # The message must not quote the address: it may contain a password.
        raise SettingsError("this is not a Redis address", where="--queue") from error
    storage = RedisStorage(QUEUE_NAME, blocking=False, connection_pool=pool)
    return JobQueue(storage, (RedisError, OSError), pool.disconnect)


def _to_id(entry: bytes) -> str | None:
    text = bytes(entry).decode("ascii", "replace")
    return text if is_id(text) else None
