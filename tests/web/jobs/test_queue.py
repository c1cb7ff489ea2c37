"""A queue gives each job once, holds nothing that runs, and may fail without harm."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest
import redis

from geoseg.errors import SettingsError
from geoseg.web.jobs.queue import open_queue
from geoseg.web.jobs.records import new_id

FIRST, SECOND = new_id(), new_id()


@pytest.fixture(params=["sqlite", "redis"])
def either(request, settings, store):
    """A queue on SQLite, then one on Redis."""
    address = "sqlite" if request.param == "sqlite" else request.getfixturevalue("redis_server").url
    queue = open_queue(settings.model_copy(update={"queue": address}))
    yield queue
    queue.close()


def test_jobs_come_out_in_the_order_they_went_in(either):
    assert either.dequeue() is None
    assert either.waiting() == frozenset()
    assert either.enqueue(FIRST)
    assert either.enqueue(SECOND)

    assert either.waiting() == {FIRST, SECOND}
    assert [either.dequeue(), either.dequeue(), either.dequeue()] == [FIRST, SECOND, None]


def test_several_takers_get_each_job_once(either):
    ids = [new_id() for _ in range(40)]
    for job_id in ids:
        either.enqueue(job_id)
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: either.dequeue(), ids))

    assert sorted(taken) == sorted(ids)


def test_what_is_no_identifier_is_dropped(settings, redis_server):
    queue = open_queue(settings.model_copy(update={"queue": redis_server.url}))
    with redis.Redis(port=redis_server.port) as client:
        for entry in (b"../../etc", b"\xff\x00" * 10, b"cos\nsystem\n(S'true'\ntR." * 2):
            client.lpush("huey.redis.geosegjobs", entry)

    assert queue.waiting() == frozenset()
    assert [queue.dequeue() for _ in range(3)] == [None] * 3
    queue.close()


def test_a_queue_outlives_the_stop_of_its_redis(settings, redis_server, caplog):
    queue = open_queue(settings.model_copy(update={"queue": redis_server.url}))
    assert queue.enqueue(FIRST)
    redis_server.stop()
    for _ in range(3):
        assert not queue.enqueue(SECOND)
        assert queue.dequeue() is None
        assert queue.waiting() is None
    redis_server.start()

    assert queue.waiting() == {FIRST}
    assert queue.dequeue() == FIRST
    assert [record.message for record in caplog.records].count("queue down") == 1
    queue.close()


def test_a_queue_opens_before_its_redis_and_tells_no_password(settings, caplog):
    queue = open_queue(settings.model_copy(update={"queue": "redis://:secret@127.0.0.1:1/0"}))

    assert not queue.enqueue(FIRST)
    assert "queue down" in caplog.text
    assert "secret" not in caplog.text
    queue.close()


def test_an_address_that_is_none_is_refused_without_its_password(settings):
    with pytest.raises(SettingsError) as refused:
        open_queue(settings.model_copy(update={"queue": "redis://:secret@host:port/0"}))

    assert "secret" not in str(refused.value)


def test_a_queue_file_that_is_none_is_refused(settings, store):
    (settings.data / "queue.sqlite").write_bytes(b"this is no database at all" * 100)

    with pytest.raises(SettingsError, match="cannot be opened"):
        open_queue(settings)


def test_a_locked_or_full_database_is_a_queue_that_is_down(settings, queue, full_disk):
    with full_disk(0):
        assert not queue.enqueue(FIRST)
    assert queue.enqueue(SECOND)
    with sqlite3.connect(settings.data / "queue.sqlite") as other:
        assert other.execute("select count(*) from task").fetchone() == (1,)
    other.close()
