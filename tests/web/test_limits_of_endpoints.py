"""How large a body may be depends on the address that it is sent to, and the answer says so."""

from __future__ import annotations

import io
import json
import shutil
import tempfile

import pytest
from werkzeug.test import EnvironBuilder, run_wsgi_app

ASYNC = {"Prefer": "respond-async"}
SMALL = 0.02  # MiB; the raster of the tests has 0.026 MiB


@pytest.fixture(scope="module")
def small(inside_module, model, raster):
    """A service whose endpoints take 0.02 MiB, and 1 MiB as a job."""
    assert SMALL * 2**20 < raster.stat().st_size < 2**20
    return inside_module(model, max_upload_mib=SMALL, max_job_upload_mib=1)


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/predict", {}, 413),
        ("/predict", ASYNC, 413),
        ("/predict", {"Prefer": "wait=5, RESPOND-ASYNC"}, 413),
        ("/v1/predict", {}, 413),
        ("/v1/predict", {"Prefer": "respond-asynchronously"}, 413),
        ("/v1/predict", ASYNC, 202),
        ("/v1/jobs", {}, 202),
        ("/v1/models", {}, 405),
        ("/health/live", ASYNC, 405),
    ],
)
def test_limits_belong_to_the_endpoint(small, raster, path, headers, status):
    answer = small.post(path, raster, **headers)
    assert answer.status == status
    assert status == 202 or answer.problem in {"too-large", "method-not-allowed"}


@pytest.mark.parametrize("media", ["application/json", "application/json; charset=utf-8", "APPLICATION/JSON"])
def test_json_may_be_short_wherever_it_is_sent(small, media):
    body = json.dumps({"path": "x" * 70_000}).encode()
    for path in ("/v1/jobs", "/v1/predict", "/predict"):
        answer = small.request("POST", path, body, Content_Type=media, **ASYNC)
        assert (answer.status, answer.problem) == (413, "too-large")
        assert "64 KiB" in answer.json["detail"]


def sent(app, path, content, **environ):
    """Send a form with what the server says of the connection; return the status and the problem's type."""
    form = {"file": (io.BytesIO(content), "a.tif")}
    whole = EnvironBuilder(path, method="POST", data=form).get_environ()
    body, status, _ = run_wsgi_app(app.app, {**whole, **environ})
    return int(status.split()[0]), json.loads(b"".join(body)).get("type")


def test_a_body_of_unknown_length_is_read_up_to_the_limit(small, raster):
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "wsgi.input_terminated": True, "CONTENT_LENGTH": ""}
    for path, status in (("/predict", 413), ("/v1/predict", 413), ("/v1/jobs", 202)):
        assert sent(small, path, raster.read_bytes(), **chunked)[0] == status


def test_what_is_too_large_is_told_the_limit_and_where_larger_ones_go(small, raster):
    for path in ("/predict", "/v1/predict"):
        detail = small.post(path, raster).json["detail"]
        assert "20.48 KiB" in detail
        assert "POST /v1/jobs" in detail
        assert "1 MiB" in detail
    detail = small.post("/v1/jobs", raster.read_bytes() * 50).json["detail"]
    assert "1 MiB" in detail
    assert "/v1/jobs" not in detail


def test_an_image_of_too_many_pixels_is_told_the_limit_and_where_larger_ones_go(inside, model, raster):
    app = inside(model, max_pixels=96 * 96 - 1)
    for path in ("/predict", "/v1/predict"):
        answer = app.post(path, raster)
        assert (answer.status, answer.problem) == (413, "too-large")
        assert "9,215 pixels" in answer.json["detail"]
        assert "POST /v1/jobs" in answer.json["detail"]
    assert app.post("/v1/jobs", raster).status == 202


def test_a_form_of_many_fields_is_not_told_that_its_body_is_too_long(inside, model):
    body = (
        b"".join(b'--b\r\nContent-Disposition: form-data; name="n"\r\n\r\n1\r\n' for _ in range(20))
        + b"--b--\r\n"
    )
    answer = inside(model).request(
        "POST",
        "/predict",
        body,
        Content_Type="multipart/form-data; boundary=b",
        Content_Length=str(len(body)),
    )
    assert (answer.status, answer.problem) == (413, "too-large")
    assert "one file in the field 'file'" in answer.json["detail"]


def test_a_disk_nearly_full_refuses_every_upload(inside, model, raster):
    app = inside(model, min_free_gib=10**6)
    for path, headers in (("/predict", {}), ("/v1/predict", {}), ("/v1/predict", ASYNC), ("/v1/jobs", {})):
        answer = app.post(path, raster, **headers)
        assert (answer.status, answer.problem) == (507, "disk-full")
        assert int(answer.headers["retry-after"]) > 0
    assert app.get("/v1/models").status == 200


def test_what_is_coming_counts_as_used(inside, model):
    free_gib = shutil.disk_usage(tempfile.gettempdir()).free / 2**30
    app = inside(
        model, min_free_gib=1, max_upload_mib=2 * free_gib * 1024, max_job_upload_mib=2 * free_gib * 1024
    )
    full = (507, "urn:geoseg:problem:disk-full")
    for path in ("/predict", "/v1/jobs"):
        assert sent(app, path, b"", CONTENT_LENGTH=str(int(free_gib * 2**30))) == full
        assert sent(app, path, b"", CONTENT_LENGTH="", HTTP_TRANSFER_ENCODING="chunked") == full
