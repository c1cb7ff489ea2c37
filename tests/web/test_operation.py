from __future__ import annotations

import os
import re
import signal
import threading
from pathlib import Path

import pytest


def numbers(server):
    """Return the metrics by name with labels."""
    text = server.get("/metrics").body.decode()
    pairs = (line.rsplit(" ", 1) for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def test_it_is_ready_only_when_a_model_has_answered(inside, model, tmp_path):
    folder = tmp_path / "models"
    folder.mkdir()
    server = inside(folder, ready=False)
    assert server.get("/health/live").json == {"status": "ok"}
    assert server.get("/health/ready").problem == "not-ready"
    assert server.get("/v1/models").json == {"models": []}

    (folder / "one.geoseg").write_bytes(model.read_bytes())

    server.wait_until(server.is_ready)
    assert [m["state"] for m in server.get("/v1/models").json["models"]] == ["ready"]


@pytest.mark.slow
def test_numbers_grow_with_requests(server, raster):
    before = numbers(server)
    server.post("/v1/predict", raster)
    after = numbers(server)

    def grown(name):
        return after.get(name, 0) - before.get(name, 0)

    route = 'route="/v1/predict"'
    assert grown(f'geoseg_requests_total{{method="POST",{route},status="200"}}') == 1
    assert grown(f"geoseg_request_seconds_count{{{route}}}") == 1
    for stage in ("predict", "encode"):
        assert grown(f'geoseg_stage_seconds_count{{{route},stage="{stage}"}}') == 1
    assert grown("geoseg_pixels_total") == 96 * 96
    assert grown("geoseg_batch_windows_count") == 1
    assert after["geoseg_network_seconds_total"] > before["geoseg_network_seconds_total"]
    assert after["geoseg_pending_predictions"] == 0
    assert after["geoseg_memory_bytes"] > 10_000_000
    assert after['geoseg_jobs{state="queued"}'] == 0


@pytest.mark.slow
def test_several_processes_count_together(serve, model, raster):
    server = serve(model, "--workers", 2, job_workers=0)
    server.wait_until(lambda: len(server.logged("model loaded")) == 2, "both processes")
    before = numbers(server)
    answers = [server.post("/predict", raster).status for _ in range(12)]
    assert answers == [200] * 12
    name = 'geoseg_requests_total{method="POST",route="/predict",status="200"}'
    assert numbers(server)[name] - before.get(name, 0) == 12


@pytest.mark.slow
def test_each_request_is_one_line_of_the_log(server, raster):
    server.post("/v1/predict", raster, X_Request_ID="look-for-me")
    (line,) = server.wait_until(
        lambda: [one for one in server.logged("request") if one["request_id"] == "look-for-me"], "its line"
    )
    assert (line["method"], line["path"], line["status"]) == ("POST", "/v1/predict", 200)
    assert (line["model"], line["pixels"]) == ("model", 96 * 96)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT[\d:.]+\+00:00", line["time"])


def test_the_document_names_the_address_it_came_by(inside, model):
    server = inside(model, proxies=1)
    assert server.get("/openapi.json").json["servers"] == [{"url": "/"}]
    behind = server.get("/openapi.json", X_Forwarded_Prefix="/maps").json
    assert behind["servers"] == [{"url": "/maps"}]
    assert set(behind["paths"]) >= {
        "/predict",
        "/v1/predict",
        "/v1/jobs",
        "/v1/models",
        "/health/ready",
        "/metrics",
    }


@pytest.mark.slow
def test_no_proxy_is_believed_unasked(server):
    assert server.get("/openapi.json", X_Forwarded_Prefix="/maps").json["servers"] == [{"url": "/"}]


@pytest.mark.slow
def test_the_page_of_the_documentation_needs_no_other_server(server):
    page = server.get("/docs/swagger")
    assert page.status == 200
    text = page.body.decode()
    assert "http://" not in text.replace("http://www.w3.org", "")
    assert "https://" not in text
    for asset in re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', text):
        path = asset if asset.startswith("/") else f"/docs/{asset}"
        assert server.get(path).status == 200, asset


@pytest.mark.slow
def test_security_headers_are_on_every_answer(server):
    for path in ("/health/live", "/v1/models", "/nowhere"):
        headers = server.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "access-control-allow-origin" not in headers


def test_only_pages_of_allowed_origins_may_read(inside, model):
    server = inside(model, cors_origins=("https://maps.example",))
    allowed = server.get("/v1/models", Origin="https://maps.example").headers
    assert allowed["access-control-allow-origin"] == "https://maps.example"
    assert (
        "access-control-allow-origin" not in server.get("/v1/models", Origin="https://evil.example").headers
    )
    preflight = server.request(
        "OPTIONS", "/v1/predict", Origin="https://maps.example", Access_Control_Request_Method="POST"
    )
    assert preflight.status == 204
    assert "POST" in preflight.headers["access-control-allow-methods"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("DELETE", "/predict", 405, "method-not-allowed"),
        ("GET", "/v1/models/none", 404, "no-such-model"),
        ("POST", "/predict", 415, "unsupported-media-type"),
    ],
)
def test_every_fault_is_a_problem(server, method, path, status, problem):
    answer = server.request(method, path)
    assert (answer.status, answer.problem) == (status, problem)


@pytest.mark.slow
def test_a_model_tells_of_itself(server, model, classes):
    (found,) = server.get("/v1/models").json["models"]
    assert found == server.get("/v1/models/model").json
    assert found["classes"] == classes.to_records()
    assert found["bands"] == [1, 2, 3]
    assert found["resolution_m"] == 1.0
    assert found["recipe"] == "pfce"
    assert found["version"] == found["sha256"][:12]
    assert 0 <= found["accuracy"]["miou"] <= 1
    assert str(model.parent) not in str(found)
    assert not {"settings", "weights"} & found["training"].keys()


def test_a_changed_file_takes_over_and_a_broken_one_does_not(inside, model, trained, raster, tmp_path):
    path = tmp_path / "models" / "land.geoseg"
    path.parent.mkdir()
    path.write_bytes(model.read_bytes())
    server = inside(path)
    first = server.get("/v1/models/land").json["version"]

    def version():
        return server.get("/v1/models/land").json["version"]

    path.write_bytes(trained.read_bytes())
    second = server.wait_until(lambda: version() != first and version(), "the new model")
    assert server.post("/predict", raster).headers["x-model-version"] == second

    path.write_bytes(b"broken")
    server.wait_until(lambda: server.get("/v1/models/land").json["is_file_bad"], "the broken file to be seen")
    refused = server.post("/v1/jobs", raster)
    assert (refused.status, refused.problem) == (503, "not-ready")
    answer = server.post("/predict", raster)
    assert (answer.status, answer.headers["x-model-version"]) == (200, second)

    path.write_bytes(model.read_bytes())
    server.wait_until(lambda: version() == first, "the first model again")


def test_models_change_without_a_request_being_dropped(inside, model, trained, raster, tmp_path, caplog):
    path = tmp_path / "models" / "land.geoseg"
    path.parent.mkdir()
    path.write_bytes(model.read_bytes())
    server = inside(path)
    caplog.set_level("INFO", "geoseg.models")
    statuses, is_over = [], threading.Event()

    def ask():
        while not is_over.is_set():
            statuses.append(server.post("/predict", raster).status)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for content in (trained, model):
        caplog.clear()
        path.write_bytes(content.read_bytes())
        server.wait_until(lambda: "model loaded" in caplog.messages)
    is_over.set()
    for asker in askers:
        asker.join()
    assert len(statuses) > 5
    assert set(statuses) == {200}


def test_several_models_are_served_at_once(inside, model, trained, raster):
    server = inside(model, trained)
    server.wait_until(lambda: server.get("/v1/models/trained").json["state"] == "ready")
    named = {name: server.post(f"/v1/predict?model={name}", raster).headers for name in ("model", "trained")}
    assert {name: found["x-model"] for name, found in named.items()} == {
        "model": "model",
        "trained": "trained",
    }
    assert server.post("/v1/predict", raster).headers["x-model"] == "model"
    assert [m["is_default"] for m in server.get("/v1/models").json["models"]] == [True, False]


@pytest.mark.slow
def test_sigterm_lets_requests_finish(serve, model, write_tiff, tmp_path):
    import numpy as np

    large = write_tiff(tmp_path / "large.tif", np.full((3, 768, 768), 90, np.uint8))
    server = serve(model, job_workers=1, grace_s=100)
    answers = []
    asker = threading.Thread(target=lambda: answers.append(server.post("/v1/predict?tta=true", large).status))
    asker.start()
    server.wait_until(
        lambda: numbers(server)["geoseg_pending_predictions"] == 1, "the request to be under way"
    )

    server.process.send_signal(signal.SIGTERM)
    code = server.process.wait(120)

    asker.join()
    assert answers == [200]
    assert code == 0


@pytest.mark.slow
def test_a_process_that_ends_is_replaced_and_takes_nothing_with_it(serve, model, raster):
    server = serve(model, "--workers", 2)
    server.wait_until(lambda: len(server.logged("model loaded")) == 2, "both processes")
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = len(server.logged("model loaded"))
        os.kill(_answering(server.process.pid)[0], number)
        server.wait_until(
            lambda before=before: len(server.logged("model loaded")) > before, "another process"
        )
        assert {server.post("/predict", raster).status for _ in range(4)} == {200}
        assert server.get("/metrics").status == 200


def _answering(master: int) -> list[int]:
    """Return the processes that answer: children of the service that are no workers for jobs."""
    found = []
    for process in Path("/proc").iterdir():
        try:
            is_child = f"PPid:\t{master}\n" in (process / "status").read_text()
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if is_child and b"worker" not in command:
            found.append(int(process.name))
    return found


@pytest.mark.slow
def test_options_count_for_the_workers_of_jobs_too(serve, model, raster, tmp_path):
    server = serve(model, data=tmp_path / "by-option", environment_data=tmp_path / "by-environment")
    path = server.post("/v1/jobs", raster).headers["location"]
    server.wait_until(lambda: server.get(path).json["state"] == "done", "the job")


@pytest.mark.slow
def test_waitress_serves_too(serve, model, raster):
    server = serve(model, server="waitress", job_workers=0, ready=False)
    server.wait_until(server.is_ready)
    assert server.post("/predict", raster).status == 200
    assert server.stop() in {0, 128 + signal.SIGTERM}


@pytest.mark.slow
def test_waitress_lets_requests_finish_that_take_longer_than_its_own_five_seconds(
    serve, model, write_tiff, tmp_path
):
    import numpy as np

    large = write_tiff(tmp_path / "large.tif", np.full((3, 768, 768), 90, np.uint8))
    server = serve(model, server="waitress", job_workers=0, grace_s=100, ready=False)
    server.wait_until(server.is_ready)
    answers = []
    asker = threading.Thread(target=lambda: answers.append(server.post("/v1/predict?tta=true", large).status))
    asker.start()
    server.wait_until(
        lambda: numbers(server)["geoseg_pending_predictions"] == 1, "the request to be under way"
    )
    assert server.stop() in {0, 128 + signal.SIGTERM}
    asker.join()
    assert answers == [200]
