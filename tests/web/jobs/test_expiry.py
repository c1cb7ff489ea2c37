"""Old jobs go, the oldest first; those that wait or run never do."""

from __future__ import annotations

from datetime import timedelta

import pytest

from geoseg.web.http.problems import DISK_FULL, Problem
from geoseg.web.jobs.expiry import GIB, check_free_space, expire
from geoseg.web.jobs.records import new_id, utc_now

NOW = utc_now()


@pytest.fixture
def over(store, refer):
    """Make a job that has been over for some hours and whose results take some bytes."""

    def make(hours, size=0, state="done"):
        job = refer("/a")
        ended = {"state": state, "finished": NOW - timedelta(hours=hours), "size": size}
        store.save(job.model_copy(update=ended))
        return job.id

    return make


def test_jobs_go_when_they_have_been_over_for_too_long(store, settings, over):
    old, failed, young = over(73), over(100, state="failed"), over(71)

    assert set(expire(store, settings, NOW)) == {old, failed}
    assert store.ids() == [young]


def test_the_oldest_go_until_the_rest_is_small_enough(store, settings, over):
    small = settings.model_copy(update={"keep_gib": 10 / GIB})
    newest, oldest, middle, empty = over(1, 6), over(3, 5), over(2, 4), over(4, 0, "failed")

    assert expire(store, small, NOW) == [oldest]
    assert set(store.ids()) == {newest, middle, empty}


@pytest.mark.parametrize("moved", [timedelta(days=3650), timedelta(days=-3650)])
def test_a_moved_clock_deletes_no_job_that_waits_or_runs(store, settings, refer, moved):
    waiting, running = refer("/a"), refer("/b")
    store.save(running.model_copy(update={"state": "running"}))

    assert expire(store, settings, NOW + moved) == []
    assert set(store.ids()) == {waiting.id, running.id}


def test_a_clock_that_was_set_back_deletes_nothing(store, settings, over):
    job = over(1)

    assert expire(store, settings, NOW - timedelta(days=3650)) == []
    assert store.ids() == [job]


def test_what_is_left_of_a_killed_upload_goes(store, settings, over):
    job, left = over(1), store.folder_of(new_id())
    left.mkdir()
    (left / "input.tif").write_bytes(b"half")
    (store.folder_of(job) / "input.tif").write_bytes(b"no longer needed")
    with store.draft() as draft:
        draft.create_input(".tif")
        expire(store, settings, NOW)

        assert set(store.ids()) == {job, draft.id}
    assert store.input_path(job) is None


def test_a_disk_that_is_nearly_full_takes_no_job(store, settings):
    check_free_space(store, settings.model_copy(update={"min_free_gib": 0}))
    with pytest.raises(Problem) as refused:
        check_free_space(store, settings.model_copy(update={"min_free_gib": 1e9}))

    assert refused.value.kind is DISK_FULL
