from __future__ import annotations

import json

import pytest


@pytest.fixture(scope="module")
def guarded(inside_module, model):
    return inside_module(model, keys="on")


@pytest.fixture
def new_key(guarded, geoseg):
    def make(name, *options):
        done = geoseg("keys", "add", name, "--data", guarded.data, *options)
        assert done.code == 0, done.err
        return done.out.strip()

    return make


def bearer(key):
    return {"Authorization": f"Bearer {key}"}


def test_without_a_key_nothing_is_answered_but_health_and_documentation(guarded, raster):
    for path in ("/v1/models", "/metrics", "/v1/jobs", "/nowhere"):
        answer = guarded.get(path)
        assert (answer.status, answer.problem) == (401, "no-key")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    assert guarded.post("/predict", raster).status == 401
    for path in ("/health/live", "/health/ready", "/openapi.json", "/docs/swagger"):
        assert guarded.get(path).status == 200


def test_a_key_opens_in_both_headers_and_is_in_the_log_by_its_id_alone(guarded, new_key, caplog):
    caplog.set_level("INFO", "geoseg.requests")
    key = new_key("alice")
    assert guarded.get("/v1/models", **bearer(key)).status == 200
    assert guarded.get("/v1/models", X_API_Key=key, X_Request_ID="by-alice").status == 200
    (line,) = [one for one in caplog.records if getattr(one, "request_id", None) == "by-alice"]
    assert line.key == key.split("_")[1]
    assert key not in json.dumps([vars(one) for one in caplog.records], default=str)


def test_a_revoked_key_is_refused_at_once(guarded, new_key, geoseg):
    key = new_key("bob")
    assert guarded.get("/v1/models", **bearer(key)).status == 200
    assert geoseg("keys", "revoke", "bob", "--data", guarded.data).code == 0
    assert guarded.get("/v1/models", **bearer(key)).status == 401


@pytest.mark.parametrize("wrong", ["", "gsk_00000000_x", "Bearer", "é" * 10, "x" * 5000])
def test_what_is_no_key_is_refused(guarded, wrong):
    answer = guarded.get("/v1/models", **bearer(wrong.encode("utf-8").decode("latin-1")))
    assert answer.status == 401


def test_too_many_requests_a_minute_are_told_when_to_try_again(guarded, new_key):
    key = new_key("carol", "--per-minute", 3)
    answers = [guarded.get("/v1/models", **bearer(key)) for _ in range(4)]
    assert [a.status for a in answers] == [200, 200, 200, 429]
    assert answers[-1].problem == "rate-limit"
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60


def test_a_quota_of_pixels_holds_for_the_day(guarded, new_key, raster):
    key = new_key("dave", "--pixels-per-day", 96 * 96 + 5)
    assert guarded.post("/predict", raster, **bearer(key)).status == 200
    answer = guarded.post("/predict", raster, **bearer(key))
    assert (answer.status, answer.problem) == (429, "quota")
    assert int(answer.headers["retry-after"]) > 0


def test_keys_are_needed_wherever_others_can_reach_it(model):
    from geoseg.settings.serving import ServeSettings

    def needs(**settings):
        return ServeSettings(models=(model,), **settings).needs_keys

    assert not needs()
    assert not needs(host="localhost")
    assert not needs(host="::1")
    assert needs(host="0.0.0.0")
    assert needs(host="example.org")
    assert not needs(host="0.0.0.0", keys="off")
    assert needs(keys="on")
    assert needs(proxies=1)


def test_a_prediction_that_fails_takes_nothing_of_the_quota(guarded, new_key, raster):
    key = new_key("erin", "--pixels-per-day", 96 * 96 + 5)
    content = raster.read_bytes()
    assert guarded.post("/predict", content[: len(content) * 2 // 3], **bearer(key)).status == 422
    assert guarded.post("/predict", raster, **bearer(key)).status == 200


def test_jobs_of_rasters_elsewhere_take_of_the_quota_too(inside, model, raster, geoseg):
    app = inside(model, keys="on", allow_folders=(raster.parent,))
    key = geoseg("keys", "add", "frank", "--pixels-per-day", 10, "--data", app.data).out.strip()
    body = json.dumps({"path": str(raster)}).encode()
    answer = app.request("POST", "/v1/jobs", body, Content_Type="application/json", **bearer(key))
    assert (answer.status, answer.problem) == (429, "quota")


def test_what_a_client_calls_its_method_makes_no_new_number(inside, model):
    app = inside(model)
    for n in range(5):
        app.request(f"BREW{n}", "/v1/models")
    text = app.get("/metrics").body.decode()
    assert "BREW" not in text
    assert 'method="other"' in text


@pytest.mark.parametrize(
    ("body", "status"), [(b"[" * 20_000, 400), (b'{"path": "' + b"x" * 70_000 + b'"}', 413)]
)
def test_json_is_neither_deep_nor_long(inside, model, body, status):
    answer = inside(model).request("POST", "/v1/jobs", body, Content_Type="application/json")
    assert answer.status == status
    assert answer.problem in {"bad-request", "too-large"}


def test_a_job_by_preference_may_be_as_large_as_any_job(inside, model, raster):
    app = inside(model, max_upload_mib=0.01)
    assert app.post("/v1/predict", raster).problem == "too-large"
    assert app.post("/v1/predict", raster, Prefer="respond-async").status == 202


def test_maps_of_too_many_polygons_are_for_jobs(inside, model, raster, monkeypatch):
    monkeypatch.setattr("geoseg.web.routes.predictions.MAX_POLYGONS", 2)
    answer = inside(model).post("/v1/predict", raster, Accept="application/geo+json")
    assert (answer.status, answer.problem) == (413, "too-large")
    assert "POST /v1/jobs" in answer.json["detail"]
