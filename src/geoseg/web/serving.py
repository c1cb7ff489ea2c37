"""Run the service: gunicorn with threads, waitress where that does not run, and workers for jobs beside it."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.settings.serving import ServeSettings
from geoseg.web.logs import log_to_stderr

LOG = logging.getLogger("geoseg.service")
_MULTIPROCESS = "PROMETHEUS_MULTIPROC_DIR"
_RESTART_AFTER_S = 1.0


def serve(settings: ServeSettings) -> None:
    """Serve until a signal ends it; requests under way are finished within the grace time.

    Raises:
        SettingsError: There is no model, or two have one name.
        OutputError: The data folder cannot be made or written to.
    """
    log_to_stderr()
    with tempfile.TemporaryDirectory(prefix="geoseg-") as own:
        # prometheus_client looks for it when it is imported.
        os.environ[_MULTIPROCESS] = str(Path(own) / "metrics")
        Path(os.environ[_MULTIPROCESS]).mkdir()
        with _job_workers(settings, Path(own)):
            if sys.platform == "win32":
                _by_waitress(settings)
            else:
                _by_gunicorn(settings)


def _by_waitress(settings: ServeSettings) -> None:
    import waitress

    from geoseg.web.app import create_app

    waitress.serve(create_app(settings), host=settings.host, port=settings.port, threads=settings.threads)


def _by_gunicorn(settings: ServeSettings) -> None:
    from geoseg.web.gunicorn_server import Server

    Server(settings).run()


@contextmanager
def _job_workers(settings: ServeSettings, folder: Path) -> Iterator[None]:
    """Keep the service's own workers for jobs running until the block ends."""
    file = folder / "settings.json"
    file.write_text(json.dumps(settings.model_dump(mode="json")), encoding="utf-8")
    stopped = threading.Event()
    keepers = [
        threading.Thread(target=_keep, args=(file, stopped), name="job worker", daemon=True)
        for _ in range(settings.job_workers)
    ]
    for keeper in keepers:
        keeper.start()
    try:
        yield
    finally:
        stopped.set()
        for keeper in keepers:
            keeper.join(settings.grace_s)


def _keep(file: Path, stopped: threading.Event) -> None:
    """Run a worker, and another one when it dies."""
    command = [sys.executable, "-m", "geoseg", "worker", "--settings", str(file), "--with-parent"]
    while not stopped.is_set():
        # A worker ends when its standard input does: with this process, however that ends.
        with subprocess.Popen(command, stdin=subprocess.PIPE) as worker:
            while worker.poll() is None and not stopped.wait(0.2):
                pass
            if worker.poll() is None:
                worker.terminate()
        if not stopped.is_set():
            LOG.warning("job worker ended, another one begins", extra={"pid": worker.pid})
            stopped.wait(_RESTART_AFTER_S)
