"""Whole services go on through faults: killed processes, lost clients, full disks, lost queues, broken files."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.web.jobs.conftest import redis_server  # noqa: F401 -- a fixture

pytestmark = pytest.mark.slow

CLIENTS = 4
DAY_S = 86_400
PATIENCE_S = 90.0


def pending(server: Any) -> float:
    """Return how many predictions are under way."""
    lines = server.get("/metrics").body.decode().splitlines()
    return float(next(line for line in lines if line.startswith("geoseg_pending_predictions ")).split()[1])


def uploads(server: Any) -> set[str]:
    return {path.name for path in (server.data / "uploads").iterdir()}


def children(process: int) -> list[int]:
    found = list[int]()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == process:
                found.append(int(status.parent.name))
    return found


def assert_no_surprise(server: Any) -> None:
    """Make sure that no fault was one that nobody expected."""
    assert not [line for line in server.lines if "traceback" in line or "Traceback" in str(line.get("event"))]


def job_of(server: Any, raster: Path, **headers: str) -> str:
    answer = server.post("/v1/jobs", raster, **headers)
    assert answer.status == 202, answer.body
    return str(answer.headers["location"])


def end_of(server: Any, job: str, **headers: str) -> dict[str, Any]:
    """Wait until a job is over, and return how it stands."""

    def over() -> Any:
        found = server.get(job, **headers).json
        return found if found["state"] in {"done", "failed", "cancelled"} else None

    return server.wait_until(over, "the job to be over")


@pytest.fixture(scope="module")
def large(write_tiff: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes long."""
    pixels = np.full((3, 4096, 4096), 90, np.uint8)
    return write_tiff(tmp_path_factory.mktemp("large") / "large.tif", pixels, compress="deflate")


@pytest.fixture(scope="module")
def middling(write_tiff: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes a while."""
    pixels = np.full((3, 512, 512), 90, np.uint8)
    return write_tiff(tmp_path_factory.mktemp("middling") / "middling.tif", pixels, compress="deflate")


@pytest.fixture(scope="module")
def changeable(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file that tests spoil and mend again."""
    path = tmp_path_factory.mktemp("models") / "land.geoseg"
    path.write_bytes(model.read_bytes())
    return path


@pytest.fixture(scope="module")
def victim(serve_session: Any, changeable: Path) -> Any:
    """A service that tests do harm to, and that is as before after each."""
    return serve_session(changeable, job_workers=0, pending=CLIENTS, timeout_s=12)


def test_a_process_that_is_killed_breaks_its_requests_and_another_one_goes_on(victim, large, raster):
    def ask() -> str:
        try:
            return str(victim.post("/predict", large).status)
        except (ConnectionError, http.client.HTTPException):
            return "broken"

    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask)
        victim.wait_until(lambda: pending(victim) == 1, "the request to be under way")
        (killed,) = children(victim.process.pid)
        os.kill(killed, signal.SIGKILL)
        assert asked.result() == "broken"

    victim.wait_until(lambda: children(victim.process.pid) not in ([], [killed]), "another process")
    victim.wait_until(victim.is_ready, "a model")
    assert victim.post("/predict", raster).status == 200
    assert pending(victim) == 0
    for left in (victim.data / "uploads").iterdir():  # Workers for jobs remove it in the end.
        assert left.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("part", [0.5, 1.0])
def test_clients_that_go_leave_nothing_behind(victim, large, raster, part):
    before, content = uploads(victim), large.read_bytes()
    head = (
        b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=bnd\r\n"
        b"Content-Length: %d\r\n\r\n"
    )
    form = b'--bnd\r\nContent-Disposition: form-data; name="file"; filename="a.tif"\r\n\r\n' + content
    form += b"\r\n--bnd--\r\n"
    for _ in range(CLIENTS):
        with socket.create_connection(("127.0.0.1", victim.port)) as line:
            line.sendall(head % len(form) + form[: int(len(form) * part)])
            victim.wait_until(lambda: uploads(victim) != before, "the upload to begin")

    victim.wait_until(lambda: uploads(victim) == before, "the uploads to be gone")
    assert victim.post("/predict", raster).status == 200
    assert pending(victim) == 0


def test_more_predictions_than_are_let_in_are_told_when_to_come_again(victim, middling):
    with ThreadPoolExecutor(4 * CLIENTS) as pool:
        answers = list(pool.map(lambda _: victim.post("/v1/predict", middling), range(4 * CLIENTS)))

    refused = [answer for answer in answers if answer.status != 200]
    assert len(answers) - len(refused) >= CLIENTS
    assert refused
    for answer in refused:
        assert (answer.status, answer.problem) == (503, "busy")
        assert int(answer.headers["retry-after"]) >= 1
    assert pending(victim) == 0


def test_a_prediction_that_takes_too_long_is_ended(victim, large, raster):
    answer = victim.post("/v1/predict", large)
    assert (answer.status, answer.problem) == (504, "timeout")
    assert pending(victim) == 0
    assert victim.post("/predict", raster).status == 200


def test_a_model_that_is_spoilt_in_place_goes_on_serving_many_clients(
    victim, changeable, model, trained, raster
):
    answers, is_over = list[Any](), threading.Event()

    def ask() -> None:
        while not is_over.is_set():
            answers.append(victim.post("/predict", raster))

    def state() -> Any:
        return victim.get("/v1/models/land").json

    first = state()["version"]
    with ThreadPoolExecutor(CLIENTS) as pool, ExitStack() as ends:
        ends.callback(is_over.set)
        asking = [pool.submit(ask) for _ in range(CLIENTS)]
        whole = trained.read_bytes()
        for spoilt in (b"broken", whole[: len(whole) // 2], b""):
            changeable.write_bytes(spoilt)
            victim.wait_until(lambda: state()["is_file_bad"], "the spoilt file to be seen")
            assert state()["version"] == first
            seen = len(answers)
            victim.wait_until(lambda seen=seen: len(answers) >= seen + 2 * CLIENTS, "more answers")
        changeable.write_bytes(whole)
        second = victim.wait_until(
            lambda: state()["version"] != first and state()["version"], "the new model"
        )
        changeable.write_bytes(model.read_bytes())
        victim.wait_until(lambda: state()["version"] == first, "the first model again")
        is_over.set()
        for one in asking:
            one.result()

    assert {answer.status for answer in answers} == {200}
    assert {answer.headers["x-model-version"] for answer in answers} <= {first, second}


def test_none_of_this_was_a_surprise(victim):
    assert_no_surprise(victim)


@contextmanager
def small_disk(folder: Path, *options: str) -> Iterator[Path]:
    """Mount a small disk."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount disks")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", ",".join(("size=4m", *options)), "geoseg-test", str(folder)]
    if subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("disks cannot be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """Leave no room, and return the file that takes it."""
    path = disk / "filling"
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(b"\0" * 4096)
    return path


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


CLOCK = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>
static long shift(void) {
    char text[32] = {0};
    int file = open(getenv("TEST_CLOCK"), O_RDONLY | O_CLOEXEC);
    if (file < 0 || read(file, text, 31) < 0) abort();
    close(file);
    return atol(text);
}
int clock_gettime(clockid_t clock, struct timespec *now) {
    int result = syscall(SYS_clock_gettime, clock, now);
    if (clock == CLOCK_REALTIME && result == 0) now->tv_sec += shift();
    return result;
}
int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    now->tv_sec = t.tv_sec, now->tv_usec = t.tv_nsec / 1000;
    return 0;
}
time_t time(time_t *now) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    if (now) *now = t.tv_sec;
    return t.tv_sec;
}
"""


@pytest.fixture
def shift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Set the wall clock, and it alone, of the services that are started: so many days from the right time.

    libfaketime 0.9.10 does not serve: it breaks time.sleep while it leaves the steady clock alone.
    """
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("needs a C compiler")
    library, said = tmp_path / "clock.so", tmp_path / "clock"
    command = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", str(library)]
    subprocess.run(command, input=CLOCK, text=True, check=True)
    monkeypatch.setenv("LD_PRELOAD", str(library))
    monkeypatch.setenv("TEST_CLOCK", str(said))

    def to(days: int) -> None:
        part = said.with_suffix(".part")
        part.write_text(str(days * DAY_S))
        part.replace(said)

    to(0)
    return to


def shift_of(server: Any) -> float:
    """Return how far a service's clock is from this one, in days."""
    told = parsedate_to_datetime(server.get("/health/live").headers["date"])
    return round((told - datetime.now(UTC)).total_seconds() / DAY_S, 2)


def test_jobs_and_rates_go_on_when_the_clock_is_set(serve, model, raster, middling, shift, tmp_path):
    from geoseg.web.keys import FILE_NAME, KeyStore

    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    store = KeyStore(data / FILE_NAME)
    free = {"X_API_Key": store.add("free", per_minute=0, pixels_per_day=0)}
    bound = {"X_API_Key": store.add("bound", per_minute=3, pixels_per_day=0)}
    store.close()
    server = serve(model, data=data, job_workers=1, keys="on")
    began = time.monotonic()
    assert [server.get("/v1/models", **bound).status for _ in range(3)] == [200] * 3

    for days in (0, 1, 0, -1, 0):
        under_way = job_of(server, middling, **free)
        shift(days)
        assert shift_of(server) == days
        assert server.post("/v1/predict", raster, **free).status == 200
        refused = server.get("/v1/models", **bound)
        if refused.status == 200:
            assert time.monotonic() - began > 60
        else:
            assert (refused.status, refused.problem) == (429, "rate-limit")
            assert 0 < int(refused.headers["retry-after"]) <= 60
        assert end_of(server, under_way, **free)["state"] == "done"
        assert end_of(server, job_of(server, raster, **free), **free)["state"] == "done"

    assert len(server.get("/v1/jobs", **free).json["jobs"]) == 10
    assert_no_surprise(server)


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
    assert_one_line(ended, f"127.0.0.1:{port}: this address cannot be listened on")


def test_a_data_folder_that_cannot_be_made_is_told_in_one_line(model, tmp_path):
    (tmp_path / "file").touch()
    assert_one_line(start(model, "--port", 0, "--data", tmp_path / "file" / "data"), "cannot be made")


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
