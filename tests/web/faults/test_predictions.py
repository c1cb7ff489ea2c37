"""Predictions go on through killed processes, lost clients, crowds, long work and spoilt models."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.web.watching import assert_no_surprise, children, pending, uploads

pytestmark = pytest.mark.slow

CLIENTS = 4


@pytest.fixture(scope="module")
def large(write_tiff: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes long."""
    pixels = np.full((3, 4096, 4096), 90, np.uint8)
    return write_tiff(tmp_path_factory.mktemp("large") / "large.tif", pixels, compress="deflate")


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
