"""The gunicorn server: threads, JSON logs, metrics of all processes together."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter
from gunicorn.glogging import Logger
from gunicorn.http.errors import ParseException
from prometheus_client.multiprocess import mark_process_dead

from geoseg.settings.serving import ServeSettings
from geoseg.web.app import create_app, service_of_app
from geoseg.web.error_handlers import answer
from geoseg.web.http.problems import BAD_REQUEST, Problem

_WORKER_TIMEOUT_S = 300
_KEEP_ALIVE_S = 15
_MALFORMED_BODY = Problem(BAD_REQUEST, "The request body is not valid HTTP.")


class Server(BaseApplication):  # type: ignore[misc]
    """gunicorn, configured from the service's settings.

    Args:
        settings: How models are served.
        on_stop: Called when the server begins to stop.
    """

    def __init__(self, settings: ServeSettings, on_stop: Callable[[], None]) -> None:
        self._settings, self._on_stop = settings, on_stop
        super().__init__()

    def load_config(self) -> None:
        """Set gunicorn's configuration."""
        settings = self._settings
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        chosen = {
            "bind": f"{host}:{settings.port}",
            "workers": settings.workers,
            "threads": settings.threads,
            "worker_class": "gthread",
            "worker_connections": max(1000, 2 * settings.threads),
            # The app itself decides which proxies to trust (``proxies``).
            "forwarded_allow_ips": "",
            "forwarder_headers": "",
            "graceful_timeout": int(settings.grace_s),
            "timeout": _WORKER_TIMEOUT_S,
            "keepalive": _KEEP_ALIVE_S,
            "logger_class": _ServiceLogger,
            # Its default path is in the home folder, which all services of a user share.
            "control_socket_disable": True,
            "proc_name": "geoseg",
            "child_exit": lambda _, worker: mark_process_dead(worker.pid),  # type: ignore[no-untyped-call]
            "worker_exit": lambda _, worker: _close_service(worker),
        }
        for name, value in chosen.items():
            if name in self.cfg.settings:  # Older releases have no control socket.
                self.cfg.set(name, value)

    def run(self) -> None:
        """Serve until a signal ends the server."""
        arbiter = _Arbiter(self)
        arbiter.on_stop = self._on_stop
        arbiter.run()

    def load(self) -> Any:
        """Return the application; gunicorn calls this in each worker process."""
        app = create_app(self._settings)
        # gunicorn parses a chunked body while the application reads it.
        app.register_error_handler(ParseException, lambda _: answer(_MALFORMED_BODY))
        return app


class _Arbiter(Arbiter):  # type: ignore[misc]
    """gunicorn's main process with a callback at the beginning of a stop.

    gunicorn's own hook ``on_exit`` comes too late: after all requests have ended.
    """

    on_stop: Callable[[], None]

    def stop(self, graceful: bool = True) -> None:
        """Call ``on_stop``, then stop the worker processes."""
        self.on_stop()
        super().stop(graceful)


def _close_service(worker: Any) -> None:
    app = getattr(worker, "wsgi", None)
    if app is not None:
        service_of_app(app).close()


class _ServiceLogger(Logger):  # type: ignore[misc]
    """Logger that sends gunicorn's events to the log of the service."""

    def setup(self, cfg: Any) -> None:
        """Use the service's loggers."""
        self.cfg = cfg
        self.error_log = logging.getLogger("geoseg.gunicorn")
        self.access_log = logging.getLogger("geoseg.gunicorn.access")

    def access(self, *_: Any) -> None:
        """Do nothing: the request hooks log each request."""

    def reopen_files(self) -> None:
        """Do nothing: there are no log files."""

    def close_on_exec(self) -> None:
        """Do nothing: there are no log files."""
