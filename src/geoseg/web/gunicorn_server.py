"""gunicorn as this service needs it: threads, JSON logs, uploads that end, numbers of all processes together."""

from __future__ import annotations

import logging
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger
from gunicorn.workers.gthread import TConn, ThreadWorker
from prometheus_client.multiprocess import mark_process_dead

from geoseg.settings.serving import ServeSettings
from geoseg.web.app import create_app, service_of

_SILENT_FOR_S = 300
_KEEP_ALIVE_S = 15


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, given the service's settings.

    Args:
        settings: How models are served.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self._settings = settings
        PatientWorker.upload_timeout_s = settings.upload_timeout_s
        super().__init__()

    def load_config(self) -> None:
        """Take over the settings."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        chosen = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": PatientWorker,
            "worker_connections": max(1000, 2 * settings.threads),
            "graceful_timeout": int(settings.grace_s),
            "timeout": _SILENT_FOR_S,
            "keepalive": _KEEP_ALIVE_S,
            "logger_class": _Quiet,
            "proc_name": "geoseg",
            "child_exit": lambda _, worker: mark_process_dead(worker.pid),  # type: ignore[no-untyped-call]
            "worker_exit": lambda _, worker: _let_go(worker),
        }
        for name, value in chosen.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Return the application; called in each process that answers."""
        return create_app(self._settings)


def _let_go(worker: Any) -> None:
    app = getattr(worker, "wsgi", None)
    if app is not None:
        service_of(app).close()


class _Quiet(Logger):  # type: ignore[misc]
    """gunicorn's own events among the service's."""

    def setup(self, cfg: Any) -> None:
        """Let the service's logger take them."""
        self.cfg = cfg
        self.error_log = logging.getLogger("geoseg.gunicorn")
        self.access_log = logging.getLogger("geoseg.gunicorn.access")

    def access(self, *_: Any) -> None:
        """Say nothing: the gate has a line for each request."""

    def reopen_files(self) -> None:
        """Have no files."""

    def close_on_exec(self) -> None:
        """Have no files."""


class PatientWorker(ThreadWorker):  # type: ignore[misc]
    """Threads that wait for a request only so long, however slowly it drips in.

    When the time for an upload is over, the connection is closed for reading: a request that has come whole is
    answered, any other one ends.
    """

    upload_timeout_s = 60.0

    def init_process(self) -> None:
        """Start watching, then work."""
        self._deadlines = dict[socket.socket, float]()
        self._lock = threading.Lock()
        threading.Thread(target=self._watch, name="uploads", daemon=True).start()
        super().init_process()

    def handle(self, conn: TConn) -> Any:
        """Answer a request in a thread of the pool."""
        with self._watched(conn.sock):
            return super().handle(conn)

    @contextmanager
    def _watched(self, sock: socket.socket) -> Iterator[None]:
        with self._lock:
            self._deadlines[sock] = time.monotonic() + self.upload_timeout_s
        try:
            yield
        finally:
            with self._lock:
                self._deadlines.pop(sock, None)

    def _watch(self) -> None:
        while True:
            time.sleep(0.25)
            now = time.monotonic()
            with self._lock:
                late = [sock for sock, end in self._deadlines.items() if end < now]
                for sock in late:
                    del self._deadlines[sock]
                    with suppress(OSError):
                        sock.shutdown(socket.SHUT_RD)
