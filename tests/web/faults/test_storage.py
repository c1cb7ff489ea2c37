"""Services go on when what they store things on fails: a disk that is full, a queue that is gone."""

from __future__ import annotations

import pytest
from tests.web.faults.posted_jobs import end_of, job_of
from tests.web.faults.small_disks import fill, small_disk
from tests.web.jobs.conftest import redis_server  # noqa: F401 -- a fixture
from tests.web.watching import assert_no_surprise, uploads

pytestmark = pytest.mark.slow


def test_a_full_disk_is_told_and_does_no_harm(serve, model, raster, middling, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        server = serve(model, data=disk / "data", job_workers=1, min_free_gib=0)
        filling = fill(disk)
        for path in ("/predict", "/v1/predict", "/v1/jobs"):
            answer = server.post(path, raster)
            assert (answer.status, answer.problem) == (507, "disk-full")
            assert int(answer.headers["retry-after"]) > 0
        assert not uploads(server)
        assert server.get("/v1/jobs").json == {"jobs": []}
        assert not list((server.data / "jobs").iterdir())

        filling.unlink()
        assert server.post("/predict", raster).status == 200
        assert end_of(server, job_of(server, raster))["state"] == "done"

        job = job_of(server, middling)
        fill(disk)
        server.wait_until(
            lambda: (
                server.logged("queue down")
                or [line for line in server.lines if line.get("job") and "fault" in line]
                or server.get(job).json["state"] in {"done", "failed"}
            ),
            "the job to meet the full disk",
        )
        filling.unlink()
        ended = end_of(server, job)
        assert ended["state"] == "done" or ended["problem"]["type"] == "urn:geoseg:problem:disk-full"
        assert end_of(server, job_of(server, raster))["state"] == "done"
        assert not uploads(server)
        assert_no_surprise(server)
        server.stop()


def test_jobs_wait_for_a_redis_that_stops(serve, model, raster, redis_server):  # noqa: F811 -- the fixture
    server = serve(model, job_workers=1, queue=redis_server.url)
    assert end_of(server, job_of(server, raster))["state"] == "done"

    redis_server.stop()
    jobs = [job_of(server, raster) for _ in range(3)]
    assert server.get("/health/ready").status == 200
    assert server.post("/predict", raster).status == 200
    assert {server.get(job).json["state"] for job in jobs} == {"queued"}
    redis_server.start()

    assert [end_of(server, job)["state"] for job in jobs] == ["done"] * 3
    assert server.logged("queue down")
    assert_no_surprise(server)
