"""Worker: run jobs from the queue, one at a time."""

from __future__ import annotations

import logging
import threading
import time

from geoseg.errors import GeoSegError
from geoseg.settings.serving import ServeSettings
from geoseg.web.jobs.delivery import requeue_lost
from geoseg.web.jobs.expiry import expire
from geoseg.web.jobs.queue import JobQueue, open_queue
from geoseg.web.jobs.running import WorkerContext, run_job
from geoseg.web.jobs.spool import Spool
from geoseg.web.jobs.store import JobStore
from geoseg.web.models.model_paths import find_models

LOG = logging.getLogger("geoseg.worker")
POLL_S = 0.25
REQUEUE_EVERY_S = 3.0
CLEANUP_EVERY_S = 60.0


def work(settings: ServeSettings, stop: threading.Event) -> None:
    """Run jobs until the stop event; then return the current job to the queue at its next window.

    The finished strips of the returned job are kept.

    Args:
        settings: How models are served.
        stop: Event that ends the worker. A signal handler may set it: this thread never waits for the event, so the
            handler cannot deadlock on its lock.

    Raises:
        SettingsError: The data folder, the queue or a model cannot be used.
    """
    find_models(settings)
    context = WorkerContext(settings, JobStore(settings.data), stop.is_set)
    queue = open_queue(settings)
    maintenance = threading.Thread(
        target=_run_maintenance, args=(context, queue, stop), name="maintenance", daemon=True
    )
    maintenance.start()
    LOG.info("worker ready")
    try:
        while not stop.is_set():
            job_id = queue.dequeue()
            if job_id is None:
                time.sleep(POLL_S)
            else:
                _run(context, job_id)
    finally:
        stop.set()
        maintenance.join()
        queue.close()
    LOG.info("worker stopped")


def _run(context: WorkerContext, job_id: str) -> None:
    try:
        run_job(context, job_id)
    except (GeoSegError, OSError) as error:
        LOG.error("job not written", extra={"job": job_id, "fault": str(error)})


def _run_maintenance(context: WorkerContext, queue: JobQueue, stop: threading.Event) -> None:
    """Requeue lost jobs and remove old files at intervals, also while a job runs."""
    cleanup_at, spool = time.monotonic(), Spool(context.settings)
    while True:
        try:
            for job_id in requeue_lost(context.store, queue):
                LOG.info("job delivered again", extra={"job": job_id})
            if time.monotonic() >= cleanup_at:
                cleanup_at = time.monotonic() + CLEANUP_EVERY_S
                _clean_up(context, spool)
        except (GeoSegError, OSError) as error:
            LOG.error("maintenance failed", extra={"fault": str(error)})
        if stop.wait(REQUEUE_EVERY_S):
            return


def _clean_up(context: WorkerContext, spool: Spool) -> None:
    for job_id in expire(context.store, context.settings):
        LOG.info("job expired", extra={"job": job_id})
    for upload in spool.clear():
        LOG.info("upload cleared", extra={"upload": upload})
