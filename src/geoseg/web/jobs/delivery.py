"""Put jobs into the queue: new jobs, and jobs that a worker or the queue has lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from geoseg.web.jobs.queue import JobQueue
from geoseg.web.jobs.store import Draft, JobStore


@contextmanager
def new_job(store: JobStore, queue: JobQueue) -> Iterator[Draft]:
    """Yield a draft; if it is submitted, put the job into the queue when the block ends.

    If the queue cannot be reached, the job waits in the store until :func:`requeue_lost` finds it.
    """
    with store.draft() as draft:
        yield draft
    if store.get(draft.id) is not None:
        queue.enqueue(draft.id)


def requeue_lost(store: JobStore, queue: JobQueue) -> list[str]:
    """Put unfinished jobs into the queue that are neither running nor queued, the oldest first.

    A duplicate entry in the queue does no harm.

    Returns:
        Identifiers of the jobs put into the queue.
    """
    waiting = queue.waiting()
    if waiting is None:
        return []
    open_jobs = [job.id for job in reversed(store.jobs()) if not job.is_over]
    lost = [job_id for job_id in open_jobs if job_id not in waiting and not store.is_running(job_id)]
    return [job_id for job_id in lost if queue.enqueue(job_id)]
