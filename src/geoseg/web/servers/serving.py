"""Run the service: gunicorn, or waitress where gunicorn is not installed, and job workers."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from geoseg.errors import OutputError, SettingsError
from geoseg.settings.serving import ServeSettings
from geoseg.web.http.logs import log_to_stderr
from geoseg.web.servers.job_workers import JobWorkers, job_workers

LOG = logging.getLogger("geoseg.service")
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_TERMINATED = 128 + signal.SIGTERM
_OTHER_HOST = "Choose an address of this machine with --host, such as 127.0.0.1, or 0.0.0.0 for all."
_HINTS = {
    errno.EADDRINUSE: "Another program, perhaps another geoseg serve, uses this port. End it, or choose another port with --port.",
    errno.EACCES: "Only root may use ports below 1024. Choose another port with --port.",
}


def serve(settings: ServeSettings) -> None:
    """Serve until a signal arrives, then let running requests finish within the grace time.

    Raises:
        SettingsError: There is no model, two models have the same name, or the address is not available.
        OutputError: The data folder cannot be created or written to.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    check_address(settings)
    is_gunicorn = _uses_gunicorn(settings)
    log_to_stderr()
    with _temporary_folder() as temporary:
        # prometheus_client reads the variable at import.
        os.environ[_MULTIPROCESS] = str(temporary / "metrics")
        (temporary / "metrics").mkdir()
        _check_folders(settings)
        with job_workers(settings, temporary) as jobs:
            if is_gunicorn:
                _serve_with_gunicorn(settings, jobs)
            else:
                _serve_with_waitress(settings)


@contextmanager
def _temporary_folder() -> Iterator[Path]:
    """Yield a folder that is removed at the end of this process, but not at the end of its forks."""
    owner, folder = os.getpid(), Path(tempfile.mkdtemp(prefix="geoseg-"))
    try:
        yield folder
    finally:
        if os.getpid() == owner:
            shutil.rmtree(folder, ignore_errors=True)


def check_address(settings: ServeSettings) -> None:
    """Check that the address is free, before any process starts.

    Raises:
        SettingsError: It is not.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":  # On Windows two programs could then listen.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            raise SettingsError(
                "cannot listen on this address",
                where=f"{settings.host}:{settings.port}",
                got=error.strerror or error,
                hint=_HINTS.get(error.errno or 0, _OTHER_HOST),
            ) from error


def _check_folders(settings: ServeSettings) -> None:
    """Check the models and the data folder early, while an error is still one line in the terminal."""
    from geoseg.web.app import private_folder
    from geoseg.web.jobs.queue import open_queue
    from geoseg.web.jobs.spool import FOLDER
    from geoseg.web.jobs.store import JobStore
    from geoseg.web.models.model_paths import find_models

    if not find_models(settings):
        folders = ", ".join(map(str, settings.models))
        LOG.warning(
            "no model yet", extra={"folders": folders, "hint": "Put a file that ends in .geoseg there."}
        )
    JobStore(settings.data)
    uploads = private_folder(settings.data / FOLDER)
    try:
        tempfile.TemporaryFile(dir=uploads).close()
    except OSError as error:
        raise OutputError("this folder cannot be written to", where=uploads, got=error.strerror) from error
    open_queue(settings).close()


def _uses_gunicorn(settings: ServeSettings) -> bool:
    """Return whether to run gunicorn.

    Raises:
        SettingsError: The settings ask for gunicorn, but it is not installed.
    """
    is_installed = find_spec("gunicorn") is not None
    if settings.server == "gunicorn" and not is_installed:
        raise SettingsError("gunicorn is not installed here", where="server", expected="auto or waitress")
    return is_installed and settings.server != "waitress"


def _serve_with_waitress(settings: ServeSettings) -> None:
    from geoseg.web.app import create_app, service_of_app
    from geoseg.web.servers.waitress_server import waitress_server

    app = create_app(settings)
    try:
        server, addresses = waitress_server(app, settings)
        for host, port in addresses:
            LOG.info("Listening at: http://%s:%s", f"[{host}]" if ":" in host else host, port)
        server.run()
    finally:
        service_of_app(app).close()


def _serve_with_gunicorn(settings: ServeSettings, jobs: JobWorkers) -> None:
    from geoseg.web.servers.gunicorn_server import Server

    Server(settings, jobs.stop).run()
