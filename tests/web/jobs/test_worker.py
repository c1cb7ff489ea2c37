"""Workers lose nothing: real processes, killed and stopped."""

from __future__ import annotations

import signal

import numpy as np
import pytest
import rasterio

from geoseg.settings import PredictSettings
from geoseg.web.jobs.delivery import new_job
from geoseg.web.jobs.queue import open_queue
from geoseg.web.jobs.records import JobRequest
from geoseg.workflows.mapping.predict import predict


def pixels(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


@pytest.fixture
def strips(store):
    """The finished strips of a job, and when each was written."""

    def strips(job):
        parts = store.map_path(job.id).with_name("map.tif.parts")
        return {path.name: path.stat().st_mtime_ns for path in parts.glob("[!.]*.npz")}

    return strips


@pytest.mark.filterwarnings("ignore:.*many values lie outside the range of the training values")
@pytest.mark.slow
def test_a_worker_that_is_killed_loses_nothing(
    store, post, tall, model, tmp_path, start_worker, wait_until, strips
):
    job = post(tall)
    killed = start_worker()
    wait_until(lambda: strips(job))
    killed.process.send_signal(signal.SIGKILL)
    killed.process.wait()
    left, found = store.get(job.id), strips(job)
    assert (left.state, left.tries) == ("running", 1)
    assert 1 <= len(found) < 5

    second = start_worker()
    wait_until(lambda: store.get(job.id).is_over)

    done = store.get(job.id)
    assert (done.state, done.tries) == ("done", 2)
    said = [line["text"] for line in second.events() if line["event"] == "job says"]
    assert said == [f"input.tif: resuming; {len(found)} of 5 strips are finished"]
    results = store.map_path(job.id).parent
    assert {oct(path.stat().st_mode & 0o777) for path in results.iterdir()} == {"0o600"}
    expected = tmp_path / "expected.tif"
    settings = PredictSettings(
        model=model, rasters=(tall,), output=expected, device="cpu", precision="float32"
    )
    predict(settings)
    np.testing.assert_array_equal(pixels(store.map_path(job.id)), pixels(expected))


@pytest.mark.slow
def test_a_worker_that_is_told_to_stop_gives_its_job_back(
    store, post, tall, start_worker, wait_until, strips
):
    job = post(tall)
    worker = start_worker()
    wait_until(lambda: strips(job))
    worker.process.terminate()

    assert worker.process.wait() == 0
    back = store.get(job.id)
    assert (back.state, back.tries) == ("queued", 0)
    assert strips(job)
    assert [line["event"] for line in worker.events()][-2:] == ["job given back", "worker stopped"]


@pytest.mark.slow
def test_a_worker_goes_on_after_its_redis_was_stopped(
    settings, store, raster, redis_server, start_worker, wait_until
):
    queue = open_queue(settings.model_copy(update={"queue": redis_server.url}))

    def post():
        with new_job(store, queue) as draft:
            draft.create_input(".tif").write_bytes(raster.read_bytes())
            return draft.submit(JobRequest(model="model"))

    worker = start_worker("--queue", redis_server.url)
    wait_until(lambda: worker.has_logged("worker ready"))
    redis_server.stop()
    wait_until(lambda: worker.has_logged("queue down"))
    without = post()
    redis_server.start()
    with_it = post()
    wait_until(lambda: store.get(without.id).is_over and store.get(with_it.id).is_over)

    assert {store.get(job.id).state for job in (without, with_it)} == {"done"}
    assert worker.process.poll() is None
    assert worker.has_logged("queue up again")
    worker.process.send_signal(signal.SIGINT)
    assert worker.process.wait() == 0
    assert worker.events()[-1]["event"] == "worker stopped"
    queue.close()


def test_a_worker_without_its_model_says_so(geoseg, tmp_path):
    outcome = geoseg("worker", tmp_path / "none.geoseg", "--data", tmp_path / "data")

    assert outcome.code == 2
    assert "no such model" in outcome.err
    assert outcome.err.count("\n") == 1
