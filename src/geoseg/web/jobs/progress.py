"""Progress of a running job: record it, and stop the job on request."""

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


class Cancelled(Exception):  # noqa: N818 -- not an error
    """The client has cancelled the job."""


class ReturnedToQueue(Exception):  # noqa: N818 -- not an error
    """The worker has to stop; another worker resumes the job."""


class JobProgress:
    """Progress of a running job.

    Args:
        job: The job; the caller holds its lock.
        store: The jobs.
        is_stopping: Returns whether the worker has to stop.
    """

    def __init__(self, job: Job, store: JobStore, is_stopping: Callable[[], bool]) -> None:
        self.job = job
        self._store, self._is_stopping = store, is_stopping
        self._stage = Stage(what="Predicting")
        self._began = self._written = time.monotonic()

    def check(self) -> None:
        """Check whether the job has to stop.

        Raises:
            Cancelled: The client has cancelled the job.
            ReturnedToQueue: The worker has to stop.
        """
        if self._store.is_cancelled(self.job.id):
            raise Cancelled
        if self._is_stopping():
            raise ReturnedToQueue

    def start(self, what: str, total: int) -> None:
        """Begin a stage; keep only the first word of its name, because the rest may be a file name."""
        self.check()
        self._stage = Stage(what=what.split()[0], total=total)
        self._began = time.monotonic()
        self._note_model()
        self._write()

    def advance(self, steps: int = 1, note: str = "") -> None:  # noqa: ARG002 -- a port's
        """Add finished steps, and save the progress at most once per second."""
        self.check()
        now, done = time.monotonic(), self._stage.done + steps
        left = self._stage.total - done
        seconds_left = round((now - self._began) / done * left, 1) if done > 0 and left >= 0 else None
        self._stage = self._stage.model_copy(update={"done": done, "seconds_left": seconds_left})
        if now - self._written >= WRITE_EVERY_S:
            self._write()

    def say(self, text: str) -> None:
        """Log the text."""
        LOG.info("job says", extra={"job": self.job.id, "text": text})

    def warn(self, text: str) -> None:
        """Log the text."""
        LOG.warning("job warns", extra={"job": self.job.id, "text": text})

    def _note_model(self) -> None:
        """Record the hash of the model that made the strips; its file may have changed since."""
        begun = unfinished_identity(self._store.map_path(self.job.id))
        if begun is not None:
            self.job = self.job.model_copy(update={"model_sha256": begun.get("model_sha256")})

    def _write(self) -> None:
        self.job = self.job.model_copy(update={"progress": self._stage})
        self._written = time.monotonic()
        try:
            self._store.save(self.job)
        except OutputError as error:
            # The job does not depend on its recorded progress.
            LOG.warning("progress not written", extra={"job": self.job.id, "fault": str(error)})
