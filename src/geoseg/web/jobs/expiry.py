"""Keep jobs from filling the disk."""

from __future__ import annotations

from datetime import datetime, timedelta

from geoseg.settings.serving import ServeSettings
from geoseg.web.http.problems import DISK_FULL, Problem
from geoseg.web.jobs.records import Job, utc_now
from geoseg.web.jobs.store import JobStore

GIB = 1 << 30


def check_free_space(store: JobStore, settings: ServeSettings, *, incoming_bytes: int = 0) -> None:
    """Refuse uploads while the disk is nearly full, or would be with what is coming.

    Args:
        store: The jobs.
        settings: How models are served.
        incoming_bytes: Bytes of the request.

    Raises:
        Problem: It is.
    """
    if store.free_bytes() - incoming_bytes < settings.min_free_gib * GIB:
        raise Problem(
            DISK_FULL,
            "The service has too little free disk space for this request. Delete finished jobs, or try again later.",
            headers={"Retry-After": "600"},
        )


def expire(store: JobStore, settings: ServeSettings, now: datetime | None = None) -> list[str]:
    """Delete jobs that have been over for too long, then the oldest until the rest is small enough; return which.

    Jobs that wait or run are never touched, whatever the clock says. What a process that was killed left of drafts
    and of jobs that are over goes too.
    """
    _remove_leftovers(store)
    over = sorted((job for job in store.jobs() if job.is_over), key=_finished_at)
    deleted = list[str]()
    since = (now or utc_now()) - timedelta(hours=settings.keep_hours)
    excess = sum(job.size for job in over) - settings.keep_gib * GIB
    for job in over:
        exceeds_size = excess > 0 and job.size > 0
        if (_finished_at(job) < since or exceeds_size) and store.delete(job.id):
            excess -= job.size
            deleted.append(job.id)
    return deleted


def _finished_at(job: Job) -> datetime:
    return job.finished or job.created


def _remove_leftovers(store: JobStore) -> None:
    for job_id in store.ids():
        job = store.get(job_id)
        if job is None:
            store.delete(job_id)  # Unless it is being made: then its lock is held.
        elif job.is_over:
            store.remove_working_files(job_id)
