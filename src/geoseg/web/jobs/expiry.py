"""Remove old jobs, and reject uploads while the disk is nearly full."""

from __future__ import annotations

from datetime import datetime, timedelta

from geoseg.settings.serving import ServeSettings
from geoseg.web.http.problems import DISK_FULL, Problem
from geoseg.web.jobs.records import Job, utc_now
from geoseg.web.jobs.store import JobStore

GIB = 1 << 30


def check_free_space(store: JobStore, settings: ServeSettings, *, incoming_bytes: int = 0) -> None:
    """Check that the disk has enough free space for an upload.

    Args:
        store: The jobs.
        settings: How models are served.
        incoming_bytes: Size of the request body.

    Raises:
        Problem: The free space would fall below ``min_free_gib``.
    """
    if store.free_bytes() - incoming_bytes < settings.min_free_gib * GIB:
        raise Problem(
            DISK_FULL,
            "The service has too little free disk space for this request. Delete finished jobs, or try again later.",
            headers={"Retry-After": "600"},
        )


def expire(store: JobStore, settings: ServeSettings, now: datetime | None = None) -> list[str]:
    """Delete finished jobs older than ``keep_hours``, then the oldest until the rest fits into ``keep_gib``.

    Queued and running jobs are never deleted. Leftover files of killed processes are deleted too.

    Args:
        store: The jobs.
        settings: How models are served.
        now: Current time; None: of the system clock.

    Returns:
        Identifiers of the deleted jobs.
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
            store.delete(job_id)  # A draft in use is locked and stays.
        elif job.is_over:
            store.remove_working_files(job_id)
