from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import rasterio


def finished(server, answer):
    """Wait until a job is over and return what it says of itself."""
    assert answer.status == 202, answer.body
    path = answer.headers["location"]

    def is_over():
        job = server.get(path).json
        return job["state"] in {"done", "failed", "cancelled"} and job

    return server.wait_until(is_over, "the job")


@pytest.fixture(scope="session")
def opened(shared, raster):
    """A folder that the service may read rasters from."""
    folder = shared / "open"
    folder.mkdir()
    (folder / "north.tif").write_bytes(raster.read_bytes())
    (folder / "leads-out.tif").symlink_to(raster)
    return folder


@pytest.fixture(scope="session")
def jobbing(serve_session, model, opened):
    return serve_session(model, allow_folders=opened)


@pytest.mark.slow
def test_a_job_makes_the_map_of_the_command_line_and_more(jobbing, raster, mapped):
    answer = jobbing.post("/v1/jobs?also=polygons&also=areas&also=confidence", raster)
    job = finished(jobbing, answer)

    assert job["state"] == "done", job
    assert job["model"] == "model"
    assert sum(area["pixels"] for area in job["areas"]) == 96 * 96
    listed = {r["name"]: r for r in jobbing.get(job["links"]["results"]).json["results"]}
    assert {"map.tif", "map.gpkg", "map.areas.json", "map.confidence.tif"} <= set(listed)
    content = jobbing.get(listed["map.tif"]["href"])
    assert content.headers["content-type"] == "image/tiff; application=geotiff; profile=cloud-optimized"
    assert len(content.body) == listed["map.tif"]["bytes"]
    path = mapped.with_name("by-job.tif")
    path.write_bytes(content.body)
    with rasterio.open(path) as by_job, rasterio.open(mapped) as by_command:
        np.testing.assert_array_equal(by_job.read(1), by_command.read(1))
        assert (by_job.crs, by_job.transform) == (by_command.crs, by_command.transform)


@pytest.mark.slow
def test_results_are_read_in_parts(jobbing, raster):
    job = finished(jobbing, jobbing.post("/v1/jobs", raster))
    href = f"{job['links']['results']}/map.tif"
    whole = jobbing.get(href)
    part = jobbing.get(href, Range="bytes=10-19")
    assert (part.status, part.body) == (206, whole.body[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.body)}"
    assert jobbing.get(href, If_None_Match=whole.headers["etag"]).status == 304
    beyond = jobbing.get(href, Range=f"bytes={len(whole.body) + 5}-")
    assert (beyond.status, beyond.problem) == (416, "range-not-satisfiable")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.body)}"
    with rasterio.open(f"/vsicurl/http://127.0.0.1:{jobbing.port}{href}") as remote:
        assert remote.read(1).shape == (96, 96)


@pytest.mark.slow
def test_respond_async_makes_a_job_of_a_prediction(jobbing, raster):
    answer = jobbing.post("/v1/predict?tta=true", raster, Prefer="respond-async, wait=10")
    assert answer.headers["preference-applied"] == "respond-async"
    job = finished(jobbing, answer)
    assert (job["state"], job["tta"]) == ("done", True)


@pytest.mark.slow
def test_a_raster_may_lie_where_the_service_may_read(jobbing, opened):
    body = json.dumps({"path": str(opened / "north.tif")}).encode()
    job = finished(jobbing, jobbing.request("POST", "/v1/jobs", body, Content_Type="application/json"))
    assert job["state"] == "done"
    assert str(opened) not in json.dumps(job)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "status", "problem"),
    [
        ({"path": "/etc/passwd"}, 403, "forbidden-source"),
        ({"path": "{open}/../data/images/north.tif"}, 403, "forbidden-source"),
        ({"path": "{open}/leads-out.tif"}, 403, "forbidden-source"),
        ({"path": "{open}/none.tif"}, 404, "not-found"),
        ({"path": "/vsicurl/http://127.0.0.1/x.tif"}, 403, "forbidden-source"),
        ({"url": "http://127.0.0.1:1/x.tif"}, 403, "forbidden-source"),
        ({"url": "file:///etc/passwd"}, 403, "forbidden-source"),
        ({"url": "http://a.example/x", "path": "/x"}, 422, "bad-parameter"),
        ({}, 422, "bad-parameter"),
        ({"path": 5}, 422, "bad-parameter"),
        ([], 422, "bad-parameter"),
    ],
)
def test_rasters_from_elsewhere_are_refused(jobbing, opened, source, status, problem):
    body = json.dumps(source).replace("{open}", str(opened)).encode()
    answer = jobbing.request("POST", "/v1/jobs", body, Content_Type="application/json")
    assert (answer.status, answer.problem) == (status, problem)


@pytest.mark.slow
def test_json_that_is_none_is_refused(jobbing):
    answer = jobbing.request("POST", "/v1/jobs", b"{", Content_Type="application/json")
    assert (answer.status, answer.problem) == (400, "bad-request")


@pytest.mark.slow
def test_a_raster_that_breaks_midway_fails_with_a_problem(jobbing, raster):
    content = raster.read_bytes()
    job = finished(jobbing, jobbing.post("/v1/jobs", content[: len(content) * 2 // 3]))
    assert job["state"] == "failed"
    assert job["problem"]["type"] == "urn:geoseg:problem:bad-image"
    assert "/" not in job["problem"]["detail"].replace("and/or", "")


def test_a_job_that_waits_is_cancelled_and_one_that_is_over_removed(inside, model, raster):
    app = inside(model)  # no worker: jobs wait
    answer = app.post("/v1/jobs", raster)
    path = answer.headers["location"]
    assert app.get(path).json["state"] == "queued"
    early = app.get(f"{path}/results")
    assert (early.status, early.problem) == (409, "conflict")

    cancelled = app.request("DELETE", path)
    assert (cancelled.status, cancelled.json["state"]) == (202, "cancelled")
    assert app.request("DELETE", path).status == 204
    gone = app.get(path)
    assert (gone.status, gone.problem) == (404, "no-such-job")
    assert list((app.data / "jobs").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", ["none", "..", "%2e%2e", "a" * 60, "a/b", "%00"])
def test_what_is_no_job_is_not_there(jobbing, name):
    assert jobbing.get(f"/v1/jobs/{name}").status in {400, 404, 422}


@pytest.mark.slow
def test_what_is_no_result_is_not_there(jobbing, raster):
    job = finished(jobbing, jobbing.post("/v1/jobs", raster))
    for name in ("job.json", "..%2Fjob.json", "%2e%2e/job.json", "lock", ".hidden"):
        answer = jobbing.get(f"{job['links']['results']}/{name}")
        assert answer.status == 404, name


def test_jobs_belong_to_the_key_that_made_them(inside, model, raster, geoseg):
    app = inside(model, keys="on")
    alice, bob = (
        {"Authorization": f"Bearer {geoseg('keys', 'add', name, '--data', app.data).out.strip()}"}
        for name in ("alice", "bob")
    )
    path = app.post("/v1/jobs", raster, **alice).headers["location"]
    assert app.get(path, **alice).status == 200
    assert app.get(path, **bob).problem == "no-such-job"
    assert app.request("DELETE", path, **bob).status == 404
    assert [len(app.get("/v1/jobs", **who).json["jobs"]) for who in (alice, bob)] == [1, 0]


def test_locations_keep_the_prefix_of_the_proxy(inside, model, raster):
    app = inside(model, proxies=1, keys="off")
    answer = app.post("/v1/jobs", raster, X_Forwarded_Prefix="/maps")
    assert answer.headers["location"].startswith("/maps/v1/jobs/")
    assert answer.json["links"]["self"] == answer.headers["location"]


@pytest.mark.slow
def test_a_worker_of_the_service_that_is_killed_is_replaced_and_the_job_finished(
    serve, model, write_tiff, tmp_path
):
    rng = np.random.default_rng(0)
    large = write_tiff(tmp_path / "large.tif", rng.integers(1, 255, (3, 2600, 200), np.uint8))
    server = serve(model)
    server.wait_until(lambda: server.logged("worker ready"), "a worker")
    answer = server.post("/v1/jobs", large)
    folder = server.data / "jobs" / answer.json["id"]
    server.wait_until(lambda: [p for p in folder.rglob("*.npz") if not p.name.startswith(".")], "a strip")

    os.kill(_worker_of(server), signal.SIGKILL)

    job = finished(server, answer)
    assert (job["state"], job["tries"]) == ("done", 2)
    said = [line["text"] for line in server.logged("job says")]
    assert any("resuming" in text for text in said), said


def _worker_of(server):
    (pid,) = (
        int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit() and _is_worker(p, server.process.pid)
    )
    return pid


def _is_worker(process: Path, parent: int) -> bool:
    try:
        command = (process / "cmdline").read_bytes().split(b"\0")
        status = (process / "status").read_text()
    except OSError:
        return False
    return b"worker" in command and f"PPid:\t{parent}\n" in status
