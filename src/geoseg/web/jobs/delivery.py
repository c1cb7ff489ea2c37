"""Bring jobs to workers: new ones, and those that a worker or the queue has lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from geoseg.web.jobs.queue import JobQueue
from geoseg.web.jobs.store import Draft, JobStore


@contextmanager
def new_job(store: JobStore, queue: JobQueue) -> Iterator[Draft]:
    """Yield a job to fill and to keep; a job that is kept goes into the queue when the block ends.

    Where the queue cannot be reached the job waits in the store until :func:`requeue_lost` finds it.
    """
    with store.draft() as draft:
        yield draft
    if store.get(draft.id) is not None:
        queue.enqueue(draft.id)


def requeue_lost(store: JobStore, queue: JobQueue) -> list[str]:
    """Put into the queue the jobs that are not over, that nobody works on, and that do not wait; the oldest first.

    That a job is put there twice does no harm.
    """
    waiting = queue.waiting()
    if waiting is None:
        return []
    open_jobs = [job.id for job in reversed(store.jobs()) if not job.is_over]
    lost = [job_id for job_id in open_jobs if job_id not in waiting and not store.is_running(job_id)]
    return [job_id for job_id in lost if queue.enqueue(job_id)]
