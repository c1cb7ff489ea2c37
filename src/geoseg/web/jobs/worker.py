"""The worker: takes jobs from the queue and runs them, one at a time."""

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
CLEAR_EVERY_S = 60.0


def work(settings: ServeSettings, stop: threading.Event) -> None:
    """Run jobs until told to stop; the job under way is given back at its next window, its strips are kept.

    Args:
        settings: How models are served.
        stop: Set to stop. A signal handler may do so: the thread that runs this never waits for the event, whose lock
            the handler could then never get.

    Raises:
        SettingsError: The data folder, the queue or a model cannot be used.
    """
    find_models(settings)
    place = WorkerContext(settings, JobStore(settings.data), stop.is_set)
    queue = open_queue(settings)
    house = threading.Thread(target=_keep_house, args=(place, queue, stop), name="house", daemon=True)
    house.start()
    LOG.info("worker ready")
    try:
        while not stop.is_set():
            job_id = queue.take()
            if job_id is None:
                time.sleep(POLL_S)
            else:
                _deliver(place, job_id)
    finally:
        stop.set()
        house.join()
        queue.close()
    LOG.info("worker stopped")


def _deliver(place: WorkerContext, job_id: str) -> None:
    try:
        run_job(place, job_id)
    except (GeoSegError, OSError) as error:
        LOG.error("job not written", extra={"job": job_id, "fault": str(error)})


def _keep_house(place: WorkerContext, queue: JobQueue, stop: threading.Event) -> None:
    """Put lost jobs into the queue and remove what is old, now and then, also while a job runs."""
    clear_at, spool = time.monotonic(), Spool(place.settings)
    while True:
        try:
            for job_id in requeue_lost(place.store, queue):
                LOG.info("job delivered again", extra={"job": job_id})
            if time.monotonic() >= clear_at:
                clear_at = time.monotonic() + CLEAR_EVERY_S
                _clear(place, spool)
        except (GeoSegError, OSError) as error:
            LOG.error("house not kept", extra={"fault": str(error)})
        if stop.wait(REQUEUE_EVERY_S):
            return


def _clear(place: WorkerContext, spool: Spool) -> None:
    for job_id in expire(place.store, place.settings):
        LOG.info("job expired", extra={"job": job_id})
    for upload in spool.clear():
        LOG.info("upload cleared", extra={"upload": upload})
