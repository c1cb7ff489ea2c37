"""Under waitress, too, what is refused is not read."""

from __future__ import annotations

import json
import threading

import pytest
from tests.web.hostile.raw_requests import CHUNKED, END, asked, chunk, exchange, part

from geoseg.settings.serving import ServeSettings
from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.servers.waitress_server import waitress_server

MIB = 2**20
ASYNC = b"Prefer: respond-async\r\n"


@pytest.fixture(scope="module")
def guarded(inside_module, model):
    """The port of a waitress that takes 1 MiB, and 2 MiB as a job; and the header with a key."""
    app = inside_module(model, max_upload_mib=1, max_job_upload_mib=2, keys="on")
    settings = ServeSettings(
        models=(model,), data=app.data, port=0, max_job_upload_mib=2, keys="on", max_upload_mib=1
    )
    server, addresses = waitress_server(app.app, settings)
    thread = threading.Thread(target=server.run)
    thread.start()
    key = KeyStore(app.data / FILE_NAME).add("anna", per_minute=0, pixels_per_day=0)
    yield addresses[0][1], f"X-API-Key: {key}\r\n".encode()
    server.trigger.pull_trigger(server.close)
    thread.join(30)
    server.task_dispatcher.shutdown()


def told(answer):
    assert answer.getheader("Content-Type") == "application/problem+json"
    return answer.status, json.loads(answer.content)["type"].rpartition(":")[2]


@pytest.mark.parametrize("path", [b"/predict", b"/v1/jobs", b"/nowhere"])
@pytest.mark.parametrize("more", [b"", b"X-API-Key: gsk_00000000_x\r\n", b"Expect: 100-continue\r\n"])
def test_without_a_key_the_answer_comes_before_the_body(guarded, path, more):
    port, _ = guarded
    request = asked(b"", length=b"%d" % (2 * MIB), more=more, to=path)
    assert told(exchange(port, request)) == (401, "no-key")


@pytest.mark.parametrize(
    ("path", "more", "mib"),
    [
        (b"/predict", b"", 1),
        (b"/predict", ASYNC, 1),
        (b"/v1/predict", b"", 1),
        (b"/v1/predict", ASYNC, 2),
        (b"/v1/jobs", b"", 2),
    ],
)
def test_a_body_over_the_limit_of_its_endpoint_is_refused_before_it_comes(guarded, path, more, mib):
    port, key = guarded
    request = asked(b"", length=b"%d" % (mib * MIB + 1), more=more + key, to=path)
    assert told(exchange(port, request)) == (413, "too-large")


def test_chunks_are_read_up_to_the_limit_of_their_endpoint(guarded):
    port, key = guarded
    endless = chunk(bytes(MIB + 100))  # and no last chunk
    answer = exchange(port, asked(endless, length=b"", more=CHUNKED + key, to=b"/predict"))
    assert told(answer) == (413, "too-large")
    answer = exchange(port, asked(chunk(b"x"), length=b"", more=CHUNKED, to=b"/predict"))
    assert told(answer) == (401, "no-key")


def test_what_is_within_the_limits_is_taken_whole_or_in_chunks(guarded, raster):
    port, key = guarded
    form = part(raster.read_bytes()) + END
    assert exchange(port, asked(form, more=key, to=b"/predict")).status == 200
    pieces = chunk(form[:5000]) + chunk(form[5000:]) + chunk(b"")
    assert exchange(port, asked(pieces, length=b"", more=CHUNKED + key, to=b"/v1/jobs")).status == 202


def test_the_body_of_a_refused_request_is_not_heard_as_the_next_one(guarded):
    port, _ = guarded
    inner = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
    answer = exchange(port, asked(inner, to=b"/predict").replace(b"Connection: close\r\n", b""))
    assert told(answer) == (401, "no-key")
    assert answer.getheader("Connection") == "close"
