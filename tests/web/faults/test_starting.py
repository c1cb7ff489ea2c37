"""A service that cannot start says why in one line; one without a good model waits for a better one."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
from tests.web.faults.small_disks import small_disk
from tests.web.watching import assert_no_surprise

pytestmark = pytest.mark.slow

PATIENCE_S = 90.0


def start(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Start a service that is to end by itself."""
    command = [sys.executable, "-m", "geoseg", "serve", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=2 * PATIENCE_S, check=False)


def assert_one_line(ended: subprocess.CompletedProcess[str], what: str) -> None:
    """Make sure that a start failed, and said why in one line and nothing else."""
    assert ended.returncode != 0
    (line,) = ended.stderr.splitlines()
    assert line.startswith("Error: ")
    assert what in line
    assert ended.stdout == ""


def test_a_port_that_is_taken_is_told_in_one_line(model, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        ended = start(model, "--port", port, "--data", tmp_path / "data")
    assert_one_line(ended, f"127.0.0.1:{port}: cannot listen on this address")


def test_a_data_folder_that_cannot_be_made_is_told_in_one_line(model, tmp_path):
    (tmp_path / "file").touch()
    assert_one_line(
        start(model, "--port", 0, "--data", tmp_path / "file" / "data"), "cannot create this folder"
    )


def test_a_data_folder_that_cannot_be_written_to_is_told_in_one_line(model, tmp_path):
    with small_disk(tmp_path / "disk") as disk:
        for folder in ("jobs", "uploads"):
            (disk / folder).mkdir()
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        assert_one_line(start(model, "--port", 0, "--data", disk), "cannot be written to")


def test_a_model_that_is_not_there_is_told_in_one_line(tmp_path):
    assert_one_line(
        start(tmp_path / "none.geoseg", "--port", 0, "--data", tmp_path / "data"), "no such model"
    )


def test_a_model_that_cannot_be_loaded_leaves_the_service_waiting_for_a_better_one(
    serve, model, raster, tmp_path
):
    path = tmp_path / "land.geoseg"
    path.write_bytes(model.read_bytes()[:1000])
    server = serve(path, ready=False, job_workers=0)
    server.wait_until(lambda: server.logged("model not loaded"), "the model to be tried")
    assert server.get("/health/live").status == 200
    assert server.get("/health/ready").problem == "not-ready"
    assert server.post("/predict", raster).problem == "not-ready"
    assert json.dumps(str(tmp_path)) not in str(server.get("/v1/models/land").json)

    path.write_bytes(model.read_bytes())

    server.wait_until(server.is_ready, "the model")
    assert server.post("/predict", raster).status == 200
    assert_no_surprise(server)
