"""Watch a job that runs: write down how far it is, and stop it when it is to stop."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from geoseg.errors import OutputError
from geoseg.web.jobs.records import Job, Stage
from geoseg.web.jobs.store import JobStore
from geoseg.workflows.service_files import unfinished_identity

LOG = logging.getLogger("geoseg.worker")
WRITE_EVERY_S = 1.0


class Cancelled(Exception):  # noqa: N818 -- no fault
    """The client wants the job no more."""


class ReturnedToQueue(Exception):  # noqa: N818 -- no fault
    """The worker is to stop; another one goes on."""


class JobProgress:
    """The progress of a job that runs.

    Args:
        job: The job.
        store: Where it is kept; its lock is held by the caller.
        is_stopping: Says whether the worker is to stop.
    """

    def __init__(self, job: Job, store: JobStore, is_stopping: Callable[[], bool]) -> None:
        self.job = job
        self._store, self._is_stopping = store, is_stopping
        self._stage = Stage(what="Predicting")
        self._began = self._written = time.monotonic()

    def check(self) -> None:
        """Stop the job if it is to stop.

        Raises:
            Cancelled: The client wants it no more.
            GivenBack: The worker is to stop.
        """
        if self._store.is_cancelled(self.job.id):
            raise Cancelled
        if self._is_stopping():
            raise ReturnedToQueue

    def start(self, what: str, total: int) -> None:
        """Begin a stage: "Fetching", "Predicting" or "Writing" is kept of its name, for it names a file too."""
        self.check()
        self._stage = Stage(what=what.split()[0], total=total)
        self._began = time.monotonic()
        self._note_model()
        self._write()

    def advance(self, steps: int = 1, note: str = "") -> None:  # noqa: ARG002 -- a port's
        """Note that steps are done, and write that down once a second."""
        self.check()
        now, done = time.monotonic(), self._stage.done + steps
        left = self._stage.total - done
        seconds_left = round((now - self._began) / done * left, 1) if done > 0 and left >= 0 else None
        self._stage = self._stage.model_copy(update={"done": done, "seconds_left": seconds_left})
        if now - self._written >= WRITE_EVERY_S:
            self._write()

    def say(self, text: str) -> None:
        """Log it."""
        LOG.info("job says", extra={"job": self.job.id, "text": text})

    def warn(self, text: str) -> None:
        """Log it."""
        LOG.warning("job warns", extra={"job": self.job.id, "text": text})

    def _note_model(self) -> None:
        """Keep the hash of the model that the strips are made with: its file may be another one by now."""
        begun = unfinished_identity(self._store.map_path(self.job.id))
        if begun is not None:
            self.job = self.job.model_copy(update={"model_sha256": begun.get("model_sha256")})

    def _write(self) -> None:
        self.job = self.job.model_copy(update={"progress": self._stage})
        self._written = time.monotonic()
        try:
            self._store.save(self.job)
        except OutputError as error:
            # How far a job is may be lost; the job goes on.
            LOG.warning("progress not written", extra={"job": self.job.id, "fault": str(error)})
