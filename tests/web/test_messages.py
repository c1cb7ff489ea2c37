"""Who starts the service or sends a wrong request is told what to do."""

from __future__ import annotations

import socket

import pytest
from tests.web.conftest import multipart

from geoseg.errors import SettingsError
from geoseg.settings.serving import ServeSettings
from geoseg.web.app import service_of_app
from geoseg.web.auth.keys import FILE_NAME, KeyStore
from geoseg.web.jobs.running import WorkerContext, run_job
from geoseg.web.models.model_paths import find_models
from geoseg.web.servers.serving import check_address


@pytest.fixture(scope="module")
def app(inside_module, model):
    return inside_module(model)


def test_a_port_in_use_and_an_address_of_another_machine_are_told_with_the_option(model):
    taken = socket.create_server(("127.0.0.1", 0))
    with taken, pytest.raises(SettingsError, match=r"cannot listen on this address.*--port"):
        check_address(ServeSettings(models=(model,), port=taken.getsockname()[1]))
    with pytest.raises(SettingsError, match=r"cannot listen on this address.*--host, such as 127\.0\.0\.1"):
        check_address(ServeSettings(models=(model,), host="192.0.2.1"))


def test_a_file_that_is_no_model_is_refused(raster):
    with pytest.raises(SettingsError, match=r"not a model file.*ends in \.geoseg"):
        find_models(ServeSettings(models=(raster,)))


def test_a_folder_without_models_is_told_to_those_who_ask_for_a_map(inside, raster, tmp_path):
    answer = inside(tmp_path, ready=False).post("/predict", raster)
    assert (answer.status, answer.problem) == (404, "no-such-model")
    assert "put a model file into the model folder" in answer.json["detail"]


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ([("image", "a.tif")], "in the field 'file'; got 1 in 'image'."),
        ([("file", "a.tif"), ("mask", "b.tif")], "got 2 in 'file', 'mask'."),
        ([("file", "a.tif"), ("file", "b.tif")], "got 2 in 'file'."),
        ([], "got none."),
    ],
)
def test_a_wrong_number_or_field_of_files_is_told(app, raster, parts, said):
    body, form = multipart(*((field, name, raster.read_bytes()) for field, name in parts))
    for path in ("/predict", "/v1/jobs"):
        answer = app.request("POST", path, body, **form)
        assert (answer.status, answer.problem) == (400, "bad-request")
        assert answer.json["detail"].endswith(said)


def with_text(field, value, rest=b""):
    """Return the body and the headers of a form with a field that is text."""
    head = f'--b\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'.encode()
    return head + rest + b"--b--\r\n", {"Content-Type": "multipart/form-data; boundary=b"}


def test_options_in_the_form_are_refused_and_not_ignored(app, raster):
    file = (
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        + raster.read_bytes()
        + b"\r\n"
    )
    body, form = with_text("model", "other", file)
    answer = app.request("POST", "/predict", body, **form)
    assert (answer.status, answer.problem) == (400, "bad-request")
    assert answer.json["errors"][0]["field"] == "model"
    assert "?name=value" in answer.json["detail"]


@pytest.mark.parametrize("file", [b"", b'; filename="a.tif"'])
def test_a_part_without_a_name_is_told_as_any_other(app, raster, file):
    named = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + raster.read_bytes()
    body = named + b"\r\n--b\r\nContent-Disposition: form-data" + file + b"\r\n\r\nx\r\n--b--\r\n"
    answer = app.request("POST", "/predict", body, Content_Type="multipart/form-data; boundary=b")
    assert (answer.status, answer.problem) == (400, "bad-request")
    assert [fault["field"] for fault in answer.json["errors"]] == ["file" if file else ""]


def test_a_file_sent_as_text_and_an_empty_one_are_told(app):
    body, form = with_text("file", "@image.tif")
    assert "came as text" in app.request("POST", "/predict", body, **form).json["detail"]
    assert app.post("/predict", b"").json["detail"] == "The file is empty."


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/predict?modle=x", "Invalid parameter: modle: there is no such parameter."),
        ("/v1/predict?tta=maybe", "Invalid parameter: tta: expected true or false."),
        ("/v1/predict?min_area=-5", "Invalid parameter: min_area: should be greater than or equal to 0."),
        ("/v1/predict?min_area=x", "Invalid parameter: min_area: expected a number."),
        ("/v1/jobs?also=polygon", "Invalid parameter: also: should be 'confidence', 'probabilities',"),
    ],
)
def test_a_parameter_that_is_not_valid_is_told_in_plain_words(app, raster, path, said):
    answer = app.post(path, raster)
    assert (answer.status, answer.problem) == (422, "bad-parameter")
    assert answer.json["detail"].startswith(said)


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 400, 'The body is not JSON. Send {"url": "https://..."}'),
        (b'{"path": "\xe9"}', 400, "The body is not JSON."),
        (b"[]", 422, "Invalid parameter: body: expected a JSON object."),
        (b"{}", 422, 'Invalid parameter: body: expected either {"url": ...} or {"path": ...}.'),
        (b'{"path": "x.tif"}', 403, "The service may not read rasters from this path. The operator"),
    ],
)
def test_a_source_that_is_not_valid_is_told(app, body, status, said):
    answer = app.request("POST", "/v1/jobs", body, Content_Type="application/json")
    assert answer.status == status
    assert answer.json["detail"].startswith(said)


def test_products_are_separated_by_commas_or_repeated(app, raster):
    for query in ("also=polygons,areas", "also=polygons&also=areas"):
        assert app.post(f"/v1/jobs?{query}", raster).json["products"] == ["polygons", "areas"]


def test_a_method_that_an_address_does_not_take_is_told_which_ones_it_takes(app):
    answer = app.get("/predict")
    assert (answer.status, answer.problem) == (405, "method-not-allowed")
    assert answer.json["detail"] == "This path supports OPTIONS, POST only."


def test_short_addresses_lead_to_the_documentation(app):
    assert app.get("/docs").headers["location"] == "/docs/swagger"


def test_ranges_that_are_not_understood_give_the_whole_file(app, raster):
    place = service_of_app(app.app)
    job = app.post("/v1/jobs", raster).json
    run_job(WorkerContext(place.settings, place.jobs, lambda: False), job["id"])
    href = f"{job['links']['results']}/map.tif"
    whole = app.get(href)
    for text in ("rows=0-1", "bytes=9-0", "bytes=0-1,5-6", "bytes=x"):
        answer = app.get(href, Range=text)
        assert (answer.status, answer.body) == (200, whole.body)
    assert app.get(href, Range="bytes=0-9").status == 206


@pytest.mark.parametrize(("state", "said"), [("revoked", "has been revoked"), ("unknown", "is unknown")])
def test_a_key_that_is_refused_is_told_why(inside, model, state, said):
    guarded = inside(model, keys="on", ready=False)
    keys = KeyStore(guarded.data / FILE_NAME)
    text = keys.add("anna", per_minute=0, pixels_per_day=0)
    if state == "revoked":
        keys.revoke("anna")
    else:
        text = text[:-1] + ("a" if text[-1] == "b" else "b")
    answer = guarded.get("/v1/models", X_API_Key=text)
    assert (answer.status, answer.problem) == (401, "no-key")
    assert said in answer.json["detail"]
