"""Jobs on disk are private, whole, and belong to one process at a time."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest

from geoseg.errors import OutputError
from geoseg.web.jobs.records import JobOptions, JobRequest, new_id
from geoseg.web.jobs.store import JobStore

HOLD = """
import sys
from pathlib import Path
from geoseg.web.jobs.store import JobStore
with JobStore(Path(sys.argv[1])).lock(sys.argv[2]) as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""
FOREIGN = [
    "",
    ".",
    "..",
    "../jobs",
    "a/b",
    "/etc/passwd",
    "x" * 15,
    "x" * 65,
    "a" * 20 + "\n",
    "ä" * 20,
    "a\0" * 10,
]


def folder_of(store, job):
    return store.folder_of(job.id)


def mode(path):
    return oct(path.stat().st_mode & 0o777)


def test_a_job_is_read_as_it_was_kept(store, post, raster):
    job = post(raster, products=("areas", "style"), min_area=3.5)

    assert store.get(job.id) == job
    assert job.state == "queued"
    assert job.request.options == JobOptions(products=("areas", "style"), min_area=3.5)


def test_folders_and_files_are_private(store, post, raster):
    folder = folder_of(store, post(raster))

    assert {mode(folder), mode(folder.parent), mode(folder.parents[1])} == {"0o700"}
    assert {mode(path) for path in folder.iterdir()} == {"0o600"}
    assert mode(folder.parents[1] / "queue.sqlite") == "0o600"


def test_a_draft_that_is_not_kept_leaves_nothing(store):
    with store.draft() as draft:
        draft.create_input(".tif").write_bytes(b"half")
    with pytest.raises(KeyError), store.draft():
        raise KeyError

    assert store.ids() == []


def test_an_upload_keeps_none_of_its_own_name(store):
    with store.draft() as draft, pytest.raises(ValueError, match="none of"):
        draft.create_input("/../../evil.vrt")


@pytest.mark.parametrize("text", FOREIGN)
def test_what_is_no_identifier_is_no_job(store, text):
    assert store.get(text) is None
    assert store.results(text) == []
    assert store.cancel(text) is None
    assert store.delete(text) is False


def test_a_job_that_is_not_there_is_none(store):
    unknown = new_id()

    assert store.get(unknown) is None
    assert store.cancel(unknown) is None
    assert store.result_path(unknown, "map.tif") is None


def test_a_lock_is_taken_once(store, post, raster):
    job = post(raster)

    with store.lock(job.id) as first, store.lock(job.id) as second:
        assert (first, second) == (True, False)
        assert store.is_running(job.id)
    assert not store.is_running(job.id)


def test_a_killed_process_holds_no_lock(store, settings, post, raster):
    job = post(raster)
    command = [sys.executable, "-c", HOLD, str(settings.data), job.id]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"True\n"
        assert store.is_running(job.id)
        process.send_signal(signal.SIGKILL)
        process.wait()

    assert not store.is_running(job.id)


def test_a_job_that_waits_is_cancelled_at_once(store, post, raster):
    job = store.cancel(post(raster).id)

    assert job.state == "cancelled"
    assert job.finished is not None
    assert store.input_path(job.id) is None
    assert store.get(job.id) == job


def test_a_job_that_runs_is_marked_to_be_cancelled(store, post, raster):
    job = post(raster)

    with store.lock(job.id):
        assert store.cancel(job.id).state == "queued"
    assert store.is_cancelled(job.id)


def test_a_job_that_waits_or_runs_is_not_deleted(store, post, raster):
    job = post(raster)

    assert not store.delete(job.id)
    store.cancel(job.id)
    with store.lock(job.id):
        assert not store.delete(job.id)
    assert store.delete(job.id)
    assert not folder_of(store, job).exists()


def test_only_files_that_are_there_are_results(store, post, raster):
    job = post(raster)
    folder = store.map_path(job.id).parent
    folder.mkdir()
    for name in ("map.tif", "map.stac.json", ".map.tif.partial-1"):
        (folder / name).write_bytes(b"1234")
    (folder / "map.tif.parts").mkdir()
    assert store.results(job.id) == []
    with store.lock(job.id):
        done = store.finish(job.model_copy(update={"state": "done"}))

    assert done.size == 8
    assert {result.name: result.media_type for result in store.results(job.id)} == {
        "map.tif": "image/tiff; application=geotiff; profile=cloud-optimized",
        "map.stac.json": "application/geo+json",
    }
    assert store.result_path(job.id, "map.tif") == folder / "map.tif"
    for name in (
        "../job.json",
        "../input.tif",
        ".map.tif.partial-1",
        "map.tif.parts",
        "/etc/passwd",
        "",
        "a\0",
    ):
        assert store.result_path(job.id, name) is None


def test_jobs_are_listed_by_owner_the_newest_first(store, refer):
    first, second, other = refer("/a", owner="k1"), refer("/b", owner="k1"), refer("/c", owner="k2")

    assert [job.request.source for job in store.jobs(owner="k1")] == ["/b", "/a"]
    assert {job.id for job in store.jobs()} == {first.id, second.id, other.id}
    assert store.counts() == {"queued": 3, "running": 0, "done": 0, "failed": 0, "cancelled": 0}


def test_fields_of_a_newer_version_do_no_harm(store, post, raster):
    job = post(raster)
    path = folder_of(store, job) / "job.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "colour": "blue"}))

    assert store.get(job.id) == job


def test_a_job_that_cannot_be_read_is_kept(store, post, raster):
    job = post(raster)
    (folder_of(store, job) / "job.json").write_text("{}")

    assert store.get(job.id) is None
    assert not store.delete(job.id)
    assert folder_of(store, job).exists()


def test_a_full_disk_leaves_a_job_as_it_was(store, post, raster, full_disk):
    job = post(raster)

    with store.lock(job.id), full_disk(10), pytest.raises(OutputError, match="could not be written"):
        store.save(job.model_copy(update={"state": "running"}))

    assert store.get(job.id) == job


def test_a_full_disk_makes_no_job(store, full_disk):
    with pytest.raises(OutputError), full_disk(10), store.draft() as draft:
        draft.submit(JobRequest(model="model"))

    assert store.ids() == []


def test_a_data_folder_may_lie_in_folders_that_are_not_there(tmp_path):
    JobStore(tmp_path / "a" / "b")

    assert mode(tmp_path / "a" / "b" / "jobs") == "0o700"
