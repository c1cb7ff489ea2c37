"""Job worker processes that run as long as the service."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.settings.serving import PREFIX, ServeSettings

LOG = logging.getLogger("geoseg.service")
_POLL_S = 0.2
_MIN_UPTIME_S = 10.0
_MAX_PAUSE_S = 60.0


class JobWorkers:
    """Job worker processes of a service, each supervised by a thread.

    Args:
        settings: How models are served.
        file: The settings as JSON, which the workers read.
    """

    def __init__(self, settings: ServeSettings, file: Path) -> None:
        self._command = [sys.executable, "-m", "geoseg", "worker", "--settings", str(file), "--with-parent"]
        # Environment variables would override the file.
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith(PREFIX)}
        self._grace_s, self._stopped = settings.grace_s, threading.Event()
        self._deadline = float("inf")
        self._supervisors = [
            threading.Thread(target=self._supervise, name="job worker", daemon=True)
            for _ in range(settings.job_workers)
        ]

    def start(self) -> None:
        """Start the workers."""
        for supervisor in self._supervisors:
            supervisor.start()

    def stop(self) -> None:
        """Ask the workers to return their jobs to the queue, without waiting; a second call does nothing."""
        if not self._stopped.is_set():
            self._deadline = time.monotonic() + self._grace_s
            self._stopped.set()

    def join(self) -> None:
        """Wait until the workers have ended; kill those that exceed the grace time."""
        for supervisor in self._supervisors:
            supervisor.join()

    def _supervise(self) -> None:
        """Run a worker and restart it when it ends; the pause doubles each time it ends early."""
        pause_s = 1.0
        while not self._stopped.is_set():
            began = time.monotonic()
            try:
                self._run()
            except OSError as error:
                LOG.error("job worker not started", extra={"fault": error.strerror})
            if self._stopped.is_set():
                return
            pause_s = 1.0 if time.monotonic() - began > _MIN_UPTIME_S else min(2 * pause_s, _MAX_PAUSE_S)
            LOG.warning("job worker ended, restarting", extra={"in_seconds": pause_s})
            self._stopped.wait(pause_s)

    def _run(self) -> None:
        # A worker ends when its standard input closes, even if this process is killed.
        worker = subprocess.Popen(self._command, stdin=subprocess.PIPE, env=self._environment)
        while worker.poll() is None:
            if self._stopped.wait(_POLL_S):
                worker.terminate()
                break
        while worker.poll() is None:
            if time.monotonic() > self._deadline:
                worker.kill()
            time.sleep(_POLL_S / 4)
        if worker.stdin is not None:
            worker.stdin.close()


@contextmanager
def job_workers(settings: ServeSettings, folder: Path) -> Iterator[JobWorkers]:
    """Run the job workers of the service until the block ends.

    Args:
        settings: How models are served.
        folder: Folder for the settings file of the workers.
    """
    file, owner = folder / "settings.json", os.getpid()
    file.write_text(json.dumps(settings.model_dump(mode="json")), encoding="utf-8")
    workers = JobWorkers(settings, file)
    workers.start()
    try:
        yield workers
    finally:
        # gunicorn's forked processes leave this block too.
        if os.getpid() == owner:
            workers.stop()
            workers.join()
