"""A job ends as it should, whatever happens to it."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
import rasterio

from geoseg.learning.model_file import read_model
from geoseg.settings import PredictSettings
from geoseg.web.jobs.running import WorkerContext, run_job
from geoseg.workflows.mapping.predict import predict

pytestmark = pytest.mark.filterwarnings("ignore:.*many values lie outside the range of the training values")


def pixels(path):
    with rasterio.open(path) as dataset:
        return dataset.read()


def of_model(model, raster, folder):
    """Return the map that the predict workflow makes."""
    output = folder / "expected.tif"
    predict(PredictSettings(model=model, rasters=(raster,), output=output, device="cpu", precision="float32"))
    return pixels(output)


def left_in(store, job):
    return {path.name for path in store.folder_of(job.id).iterdir()}


def ended(store, job):
    """Return a job that is over, after making sure that nothing of it lies about."""
    job = store.get(job.id)
    assert job.is_over
    assert left_in(store, job) <= {"job.json", "lock", "results"}
    assert ("results" in left_in(store, job)) == (job.state == "done")
    return job


class AfterSome:
    """Says no some times, then does something and says what that gives."""

    def __init__(self, times, act):
        self.left, self.act = times, act

    def __call__(self):
        self.left -= 1
        return self.left < 0 and self.act()


def test_a_job_makes_the_map_that_the_predict_workflow_makes(place, store, post, model, raster, tmp_path):
    job = post(raster)
    run_job(place, job.id)

    done = ended(store, job)
    assert done.state == "done"
    np.testing.assert_array_equal(pixels(store.map_path(job.id)), of_model(model, raster, tmp_path))
    assert [result.name for result in store.results(job.id)] == ["map.tif", "map.tif.aux.xml"]
    assert done.model_sha256 == read_model(model).sha256
    assert sum(area["pixels"] for area in done.areas) == 96 * 96
    assert done.size == sum(result.size for result in store.results(job.id)) > 0
    assert done.created <= done.started <= done.finished
    assert (done.tries, done.progress, done.problem) == (1, None, None)


def test_a_job_makes_all_that_was_wished_for(place, store, post, raster):
    options = {
        "products": ("confidence", "probabilities", "polygons", "areas", "style", "stac"),
        "min_area": 20,
    }
    job = post(raster, tta=True, **options)
    run_job(place, job.id)

    assert ended(store, job).state == "done"
    assert {result.name for result in store.results(job.id)} == {
        "map.tif",
        "map.tif.aux.xml",
        "map.confidence.tif",
        "map.confidence.qml",
        "map.probabilities.tif",
        "map.gpkg",
        "map.areas.json",
        "map.areas.csv",
        "map.qml",
        "map.stac.json",
    }
    assert str(store.folder_of(job.id)) not in store.result_path(job.id, "map.stac.json").read_text()


def test_a_job_that_is_delivered_twice_is_run_once(place, store, post, raster):
    job = post(raster)
    run_job(place, job.id)
    first = store.get(job.id)
    run_job(place, job.id)

    assert store.get(job.id) == first


def test_a_job_that_another_process_works_on_is_left_alone(place, store, post, raster):
    job = post(raster)
    with store.lock(job.id):
        run_job(place, job.id)

    assert store.get(job.id) == job


def test_a_job_that_is_gone_is_no_fault(place, store, post, raster):
    job = post(raster)
    store.cancel(job.id)
    store.delete(job.id)

    run_job(place, job.id)
    run_job(place, "no-such-job-at-all")

    assert store.ids() == []


def test_a_job_that_runs_is_cancelled_at_the_next_window(settings, store, post, tall):
    job = post(tall)
    run_job(WorkerContext(settings, store, AfterSome(4, lambda: store.cancel(job.id) is None)), job.id)

    assert ended(store, job).state == "cancelled"


def test_a_mark_to_cancel_a_job_whose_worker_died_is_heeded(place, store, post, raster):
    job = post(raster)
    (store.folder_of(job.id) / "cancel").touch()
    run_job(place, job.id)

    assert ended(store, job).state == "cancelled"


def test_a_job_is_given_back_and_gone_on_with(settings, place, store, post, model, tall, tmp_path):
    job = post(tall)
    run_job(WorkerContext(settings, store, AfterSome(4, lambda: True)), job.id)
    back = store.get(job.id)
    parts = store.map_path(job.id).with_name("map.tif.parts")
    strips = {path: path.stat().st_mtime_ns for path in parts.glob("[!.]*.npz")}

    assert (back.state, back.tries, back.progress) == ("queued", 0, None)
    assert strips
    seen = []
    keep = AfterSome(3, lambda: seen.append({path: path.stat().st_mtime_ns for path in strips}))
    run_job(WorkerContext(settings, store, keep), job.id)
    assert ended(store, job).state == "done"
    assert seen[0] == strips
    np.testing.assert_array_equal(pixels(store.map_path(job.id)), of_model(model, tall, tmp_path))


def test_progress_is_written_while_a_job_runs(settings, store, post, tall):
    job, seen = post(tall), []
    run_job(WorkerContext(settings, store, AfterSome(3, lambda: seen.append(store.get(job.id)))), job.id)

    assert {one.state for one in seen} == {"running"}
    assert {one.progress.what for one in seen} == {"Predicting", "Writing"}
    assert max(one.progress.done for one in seen) <= 5
    assert seen[-1].progress.total == 5
    assert len(seen[-1].model_sha256) == 64


def test_a_changed_model_begins_anew(settings, store, post, model, trained, tall, tmp_path):
    own = tmp_path / "models" / "model.geoseg"
    own.parent.mkdir()
    shutil.copy(model, own)
    changed = settings.model_copy(update={"models": (own,)})
    job = post(tall)
    run_job(WorkerContext(changed, store, AfterSome(4, lambda: True)), job.id)
    shutil.copy(trained, own)
    run_job(WorkerContext(changed, store, lambda: False), job.id)

    assert ended(store, job).model_sha256 == read_model(trained).sha256
    np.testing.assert_array_equal(pixels(store.map_path(job.id)), of_model(trained, tall, tmp_path))


def test_a_job_whose_workers_die_fails_in_the_end(place, store, post, raster):
    job = post(raster)
    store.save(job.model_copy(update={"state": "running", "tries": 3}))
    run_job(place, job.id)

    failed = ended(store, job)
    assert (failed.state, failed.problem.slug) == ("failed", "internal")
    assert "3 attempt(s)" in failed.problem.detail


def test_a_model_that_is_gone_is_told(place, store, refer, raster):
    job = refer(raster, model="other")
    run_job(place, job.id)

    assert ended(store, job).problem.slug == "no-such-model"


@pytest.mark.parametrize(
    ("content", "slug"),
    [
        (b"not an image", "unsupported-media-type"),
        (b"II*\0" + bytes(100), "bad-image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "bad-image"),
    ],
)
def test_a_raster_that_cannot_be_read_is_told_without_a_path(place, store, post, tmp_path, content, slug):
    path = tmp_path / "bad.tif"
    path.write_bytes(content)
    job = post(path)
    run_job(place, job.id)

    problem = ended(store, job).problem
    assert problem.slug == slug
    assert [part for part in ("/", "input", "jobs", job.id) if part in problem.detail] == []


def test_a_raster_with_too_many_pixels_or_bands_is_told(settings, store, post, raster):
    for limit in ({"max_job_pixels": 96 * 95}, {"max_bands": 2}):
        job = post(raster)
        run_job(WorkerContext(settings.model_copy(update=limit), store, lambda: False), job.id)

        assert ended(store, job).problem.slug == "too-large"


def test_a_raster_with_too_few_bands_is_told(place, store, post, write_tiff, tmp_path):
    job = post(write_tiff(tmp_path / "grey.tif", np.ones((40, 40), np.uint8)))
    run_job(place, job.id)

    problem = ended(store, job).problem
    assert problem.slug == "bad-image"
    assert problem.detail.startswith("This raster lacks bands that the model was trained on; expected bands")


def test_a_full_disk_fails_the_job_and_the_next_one_works(place, store, post, raster, full_disk):
    full, other = post(raster), post(raster)
    with full_disk(2500):
        run_job(place, full.id)
    run_job(place, other.id)

    assert ended(store, full).problem.slug == "disk-full"
    assert ended(store, other).state == "done"


def test_a_fault_that_nobody_thought_of_fails_the_job_alone(settings, store, post, raster, caplog):
    def break_down():
        raise ZeroDivisionError("secret /path")

    job = post(raster)
    run_job(WorkerContext(settings, store, AfterSome(2, break_down)), job.id)

    problem = ended(store, job).problem
    assert problem.slug == "internal"
    assert "secret" not in problem.detail
    assert "ZeroDivisionError" in caplog.text


def test_a_raster_in_an_allowed_folder_is_mapped_and_kept(settings, store, refer, raster, model, tmp_path):
    allowed = settings.model_copy(update={"allow_folders": (raster.parent,)})
    job = refer(raster)
    run_job(WorkerContext(allowed, store, lambda: False), job.id)

    assert ended(store, job).state == "done"
    assert raster.is_file()
    np.testing.assert_array_equal(pixels(store.map_path(job.id)), of_model(model, raster, tmp_path))


def test_a_source_that_is_no_longer_allowed_is_told(place, store, refer, raster):
    for source in (raster, "https://good.example/a.tif"):
        job = refer(source)
        run_job(place, job.id)

        assert ended(store, job).problem.slug == "forbidden-source"


def test_a_raster_that_was_fetched_before_the_worker_died_is_not_fetched_again(place, store, post, raster):
    job = post(raster)
    request = job.request.model_copy(update={"source": "https://nobody.example/a.tif"})
    store.save(job.model_copy(update={"request": request, "tries": 1}))
    run_job(place, job.id)

    assert ended(store, job).state == "done"
