"""gunicorn as this service needs it: threads, JSON logs, uploads that end, numbers of all processes together."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from gunicorn.workers.gthread import TConn, ThreadWorker
from prometheus_client.multiprocess import mark_process_dead

from geoseg.settings.serving import ServeSettings
from geoseg.web.app import create_app, service_of
from geoseg.web.error_handlers import answer
from geoseg.web.http.deadlines import PATIENCE
from geoseg.web.http.problems import BAD_REQUEST, MEDIA_TYPE, Problem

_SILENT_FOR_S = 300
_KEEP_ALIVE_S = 15
_PARTING_S = 1.0
_DRAINED_BYTES = 1 << 16
_NO_HTTP = Problem(
    BAD_REQUEST, "The request is not HTTP as this service reads it, or its headers are too long."
)


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, given the service's settings.

    Args:
        settings: How models are served.
        stopping: Called when it begins to stop.
    """

    def __init__(self, settings: ServeSettings, stopping: Callable[[], None]) -> None:
        self._settings, self._stopping = settings, stopping
        DeadlineWorker.upload_timeout_s = settings.upload_timeout_s
        super().__init__()

    def load_config(self) -> None:
        """Take over the settings."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        chosen = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": DeadlineWorker,
            "worker_connections": max(1000, 2 * settings.threads),
            # Who is believed is the app's to say (``proxies``), not who happens to be on this machine.
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "graceful_timeout": int(settings.grace_s),
            "timeout": _SILENT_FOR_S,
            "keepalive": _KEEP_ALIVE_S,
            "logger_class": _Quiet,
            # It would lie in the home folder, shared by all services of a user, and nobody asks it anything.
            "control_socket_disable": True,
            "proc_name": "geoseg",
            "child_exit": lambda _, worker: mark_process_dead(worker.pid),  # type: ignore[no-untyped-call]
            "worker_exit": lambda _, worker: _let_go(worker),
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:  # Not every release has a control socket.
                self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until a signal ends it."""
        arbiter = _Arbiter(self)
        arbiter.stopping = self._stopping
        arbiter.run()

    def load(self) -> Any:
        """Return the application; called in each process that answers."""
        app = create_app(self._settings)
        # What a chunked body is badly made of comes to light when it is read.
        app.register_error_handler(ParseException, lambda _: answer(_NO_HTTP))
        return app


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's first process, which says when it begins to stop."""

    stopping: Callable[[], None]

    def stop(self, graceful: bool = True) -> None:
        """Tell others, then let the processes finish what they are at."""
        self.stopping()
        super().stop(graceful)


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


class DeadlineWorker(ThreadWorker):  # type: ignore[misc]
    """Threads that wait for a request only so long, however slowly it drips in.

    When the time for an upload is over, the connection is closed for reading: a request that has come whole is
    answered, any other one ends.
    """

    upload_timeout_s = 60.0

    def init_process(self) -> None:
        """Start watching, then work."""
        PATIENCE.start()
        super().init_process()

    def set_accept_enabled(self, enabled: bool) -> None:
        """Accept connections or not; at the end close the door, so that clients and balancers turn elsewhere at once."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            for listener in self.sockets:
                listener.close()

    def handle(self, conn: TConn) -> Any:
        """Answer a request in a thread of the pool."""
        _limit_silence(conn.sock, self.upload_timeout_s)
        PATIENCE.begin(conn.sock, self.upload_timeout_s)
        try:
            goes_on = super().handle(conn)
        finally:
            PATIENCE.end(conn.sock)
        if not goes_on:
            _part(conn.sock)
        return goes_on

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: BaseException) -> None:  # noqa: PLR0917 -- gunicorn's
        """Answer by a problem what is no request at all."""
        if not isinstance(exc, ParseException):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("no request: %s", type(exc).__name__)
        body = json.dumps(_NO_HTTP.body(f"urn:geoseg:request:{secrets.token_hex(8)}")).encode()
        head = (
            f"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: {MEDIA_TYPE}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        with suppress(OSError):
            client.sendall(head.encode() + body)


def _part(sock: socket.socket) -> None:
    """Wait a moment for the client to take its answer and go, here and not in the thread that all others wait for."""
    end = time.monotonic() + _PARTING_S
    with suppress(OSError):
        sock.shutdown(socket.SHUT_WR)
        while (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            if not sock.recv(_DRAINED_BYTES):
                break
    with suppress(OSError):
        # Whoever closes it finds that nothing more will come.
        sock.shutdown(socket.SHUT_RD)


def _limit_silence(sock: socket.socket, seconds: float) -> None:
    """Let the kernel end a connection whose client takes nothing of its answer for so long, where it can.

    A thread that sends waits for as long as the connection lasts.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        with suppress(OSError):  # The client may be gone already.
            sock.setsockopt(socket.IPPROTO_TCP, option, int(seconds * 1000))
