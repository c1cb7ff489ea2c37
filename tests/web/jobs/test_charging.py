"""The pixels of a job are charged once to its key, and given back if no map comes of it."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from tests.web.jobs.killing import After, Killed

from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.jobs.expiry import expire
from geoseg.web.jobs.running import WorkerContext, run_job
from geoseg.web.jobs.store import JobStore

PIXELS = 96 * 96


@pytest.fixture
def keyed(settings, address):
    return settings.model_copy(update={"allow_urls": (address,), "keys": "on"})


@pytest.fixture
def owner(settings, store):
    """A key that may map the raster once a day."""
    keys = KeyStore(settings.data / FILE_NAME)
    return keys.check(keys.add("anna", per_minute=0, pixels_per_day=PIXELS + 1)).id


def used(settings):
    with closing(sqlite3.connect(settings.data / FILE_NAME)) as connection:
        return connection.execute("SELECT coalesce(sum(used), 0) FROM pixels").fetchone()[0]


def test_a_job_given_back_is_charged_once(keyed, store, refer, owner, address):
    job = refer(f"{address}a.tif", owner=owner)
    run_job(WorkerContext(keyed, store, After(lambda: predicting(store, job))), job.id)
    assert (store.get(job.id).state, used(keyed)) == ("queued", PIXELS)

    run_job(WorkerContext(keyed, store, lambda: False), job.id)
    assert (store.get(job.id).state, used(keyed)) == ("done", PIXELS)


@pytest.mark.parametrize("what", ["Fetching", "Predicting"])
def test_a_job_whose_worker_is_killed_is_charged_once(keyed, store, refer, owner, address, what):
    job = refer(f"{address}a.tif", owner=owner)
    with pytest.raises(Killed):
        run_job(WorkerContext(keyed, store, After(lambda: at(store, job, what), kill=True)), job.id)
    assert used(keyed) == (PIXELS if what == "Predicting" else 0)

    run_job(WorkerContext(keyed, store, lambda: False), job.id)
    assert (store.get(job.id).state, used(keyed)) == ("done", PIXELS)


def test_a_job_that_is_cancelled_or_fails_gives_its_pixels_back(keyed, store, refer, owner, address):
    cancelled = refer(f"{address}a.tif", owner=owner)
    run_job(WorkerContext(keyed, store, After(lambda: predicting(store, cancelled))), cancelled.id)
    assert used(keyed) == PIXELS
    store.cancel(cancelled.id)
    assert used(keyed) == 0

    worn = refer(f"{address}a.tif", owner=owner)
    run_job(WorkerContext(keyed, store, After(lambda: predicting(store, worn))), worn.id)
    store.save(store.get(worn.id).model_copy(update={"tries": 3}))
    run_job(WorkerContext(keyed, store, lambda: False), worn.id)
    assert (store.get(worn.id).state, used(keyed)) == ("failed", 0)


def test_a_map_that_was_delivered_stays_charged_when_it_is_removed(keyed, store, refer, owner, address):
    job = refer(f"{address}a.tif", owner=owner)
    run_job(WorkerContext(keyed, store, lambda: False), job.id)
    assert store.delete(job.id)

    assert used(keyed) == PIXELS
    second = refer(f"{address}a.tif", owner=owner)
    run_job(WorkerContext(keyed, store, lambda: False), second.id)
    assert store.get(second.id).problem.slug == "quota"
    assert used(keyed) == PIXELS


def test_what_was_charged_for_a_job_that_was_never_made_is_given_back(keyed, store, owner):
    keys = KeyStore(keyed.data / FILE_NAME)
    with store.draft() as draft:
        keys.charge_pixels(keys.get(owner), 100, draft.id)
        job_id = draft.id
    # As a process leaves it that is killed before the job is written.
    store.folder_of(job_id).mkdir()
    (store.folder_of(job_id) / "lock").touch()
    assert used(keyed) == 100

    expire(store, keyed)
    assert (used(keyed), store.ids()) == (0, [])


def test_a_raster_that_has_grown_since_it_was_charged_is_charged_as_it_is(
    keyed, store, refer, owner, address
):
    keys = KeyStore(keyed.data / FILE_NAME)
    job = refer(f"{address}a.tif", owner=owner)
    keys.charge_pixels(keys.get(owner), 100, job.id)
    run_job(WorkerContext(keyed, store, lambda: False), job.id)

    assert (store.get(job.id).state, used(keyed)) == ("done", PIXELS)


def test_jobs_of_a_revoked_key_fail(keyed, store, refer, owner, address):
    job = refer(f"{address}a.tif", owner=owner)
    KeyStore(keyed.data / FILE_NAME).revoke(owner)
    run_job(WorkerContext(keyed, store, lambda: False), job.id)

    assert (store.get(job.id).problem.slug, used(keyed)) == ("no-key", 0)


def test_jobs_without_keys_need_no_store_of_keys(settings, store, post, raster):
    job = post(raster)
    store.cancel(job.id)
    assert store.delete(job.id)
    assert not (settings.data / FILE_NAME).exists()


def predicting(store: JobStore, job) -> bool:
    return at(store, job, "Predicting")


def at(store: JobStore, job, what: str) -> bool:
    """Say whether a job has come to a stage."""
    now = store.get(job.id)
    return now.progress is not None and now.progress.what == what
