"""Clients that send slowly, or take no answer, do not keep others from theirs."""

from __future__ import annotations

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from tests.web.hostile.answers import assert_well
from tests.web.hostile.raw_requests import CHUNKED, LONGEST_S, asked, chunk, part
from tests.web.watching import uploads

pytestmark = pytest.mark.slow

SLOW_CLIENTS = 40


def drip(port: int, beginning: bytes, drop: bytes) -> tuple[float, bytes]:
    """Send a beginning and then a drop now and then; return how long that went and what was answered."""
    began, answer = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", port)) as line, suppress(ConnectionError):
        line.settimeout(0.2)
        line.sendall(beginning)
        while time.monotonic() - began < LONGEST_S:
            try:
                if not (piece := line.recv(65_536)):
                    break
                answer += piece
            except TimeoutError:
                line.sendall(drop)
    return time.monotonic() - began, answer


def slow_requests(image: bytes) -> dict[str, tuple[bytes, bytes]]:
    """Return, by name, how requests begin that go on drop by drop."""
    return {
        "nothing": (b"", b""),
        "request line": (b"POST /v1", b"x"),
        "headers": (b"POST /v1/predict HTTP/1.1\r\nHost: x\r\n", b"X-A: a\r\n"),
        "body": (asked(part(image)[:10_000], length=b"500000"), b"x"),
        "chunks": (asked(chunk(part(image)[:10_000]), length=b"", more=CHUNKED), chunk(b"x")),
    }


@pytest.mark.parametrize("where", ["nothing", "request line", "headers", "body", "chunks"])
def test_slow_uploads_end(strict, image, where):
    seconds, answer = drip(strict.port, *slow_requests(image)[where])
    assert seconds < LONGEST_S / 2
    assert not answer or answer.startswith(b"HTTP/1.1 408 ")
    if where in {"body", "chunks"}:
        assert b"upload-timeout" in answer
    strict.wait_until(lambda: not uploads(strict))


@pytest.mark.parametrize("where", ["headers", "body"])
def test_many_slow_clients_do_not_keep_others_from_being_answered(strict, image, raster, where):
    request = slow_requests(image)[where]
    with ThreadPoolExecutor(SLOW_CLIENTS) as pool:
        slow = [pool.submit(drip, strict.port, *request) for _ in range(SLOW_CLIENTS)]
        began = time.monotonic()
        assert strict.post("/v1/predict", raster).status == 200
        assert time.monotonic() - began < LONGEST_S / 2
        assert max(one.result()[0] for one in slow) < LONGEST_S
    assert_well(strict, raster)


def test_clients_that_take_no_answer_do_not_keep_others_from_theirs(strict, raster):
    page = strict.get("/docs/swagger").body.decode()
    assets = [urljoin("/docs/swagger", found) for found in re.findall(r"[\w./-]+\.js", page)]
    large = max(assets, key=lambda asset: len(strict.get(asset).body))
    assert len(strict.get(large).body) > 1_000_000
    # Several, so that they do not fit between two programs.
    request = f"GET {large} HTTP/1.1\r\nHost: x\r\n\r\n".encode() * 20
    assert_others_are_answered(strict, raster, request, room=4096)


@pytest.mark.parametrize("said", [b"no HTTP\r\n\r\n", b"GET /nowhere HTTP/1.0\r\n\r\n"])
def test_clients_that_stay_after_their_answer_do_not_keep_others_from_theirs(strict, raster, said):
    assert_others_are_answered(strict, raster, said)


def assert_others_are_answered(server: Any, raster: Path, request: bytes, *, room: int = 65_536) -> None:
    """Make sure that a good request is answered while many others hold a connection whose answer they do not read."""
    with ExitStack() as lines:
        for _ in range(SLOW_CLIENTS):
            line = lines.enter_context(socket.socket())
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
            line.connect(("127.0.0.1", server.port))
            line.sendall(request)
        began = time.monotonic()
        assert server.post("/v1/predict", raster).status == 200
        assert time.monotonic() - began < LONGEST_S
    assert_well(server, raster)
