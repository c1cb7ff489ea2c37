"""No job is lost between those who make it and those who run it."""

from __future__ import annotations

from geoseg.web.jobs.delivery import new_job, requeue_lost
from geoseg.web.jobs.queue import open_queue
from geoseg.web.jobs.records import JobRequest


def test_a_new_job_waits_in_the_queue(queue, post, raster):
    job = post(raster)

    assert queue.waiting() == {job.id}


def test_a_draft_that_is_not_kept_is_not_delivered(store, queue):
    with new_job(store, queue) as draft:
        draft.create_input(".png")

    assert queue.waiting() == frozenset()


def test_lost_jobs_are_delivered_again_the_oldest_first(store, queue, refer):
    jobs = [refer(f"/{n}") for n in range(4)]
    store.save(jobs[1].model_copy(update={"state": "running"}))
    store.cancel(jobs[2].id)
    assert requeue_lost(store, queue) == []
    while queue.dequeue():
        pass

    assert requeue_lost(store, queue) == [jobs[0].id, jobs[1].id, jobs[3].id]
    assert queue.dequeue() == jobs[0].id


def test_a_job_that_somebody_works_on_is_not_lost(store, queue, refer):
    job = refer("/a")
    queue.dequeue()
    with store.lock(job.id):
        assert requeue_lost(store, queue) == []

    assert requeue_lost(store, queue) == [job.id]


def test_a_job_that_is_made_without_a_queue_is_delivered_later(settings, store, redis_server):
    queue = open_queue(settings.model_copy(update={"queue": redis_server.url}))
    redis_server.stop()
    with new_job(store, queue) as draft:
        job = draft.submit(JobRequest(model="model", source="/a"))
    assert store.get(job.id) == job
    assert requeue_lost(store, queue) == []
    redis_server.start()

    assert requeue_lost(store, queue) == [job.id]
    assert queue.dequeue() == job.id
    queue.close()
