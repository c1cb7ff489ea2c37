"""Jobs and downloads of the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyogrio
import pytest
import rasterio
from flask.testing import FlaskClient
from tests.web.label.conftest import change, mask

from geoseg.workflows.labelling.session import LabelSession

Add = Callable[..., dict[str, Any]]


def test_points_and_a_report_can_be_taken_along_at_any_time(
    client: FlaskClient, classes: list[dict[str, Any]], add: Add, tmp_path: Path
) -> None:
    name = client.post("/v1/project/classes", json={"name": "<b>roof</b>"}).get_json()
    add(change(50, 50, classes[0]["id"]), change(60, 60, name["id"]))
    listed = client.get("/v1/project/export").get_json()
    assert [one["name"] for one in listed["items"]] == ["points.gpkg", "report.html"]
    assert listed["unsaved"] == ["No model has been trained well yet; the map of the page is a quick look."]
    copy = tmp_path / "copy.gpkg"
    copy.write_bytes(client.get("/v1/project/export/points.gpkg", buffered=True).data)
    assert pyogrio.read_dataframe(copy, layer="points")["class"].tolist() == ["field", "<b>roof</b>"]
    assert "layer_styles" in pyogrio.list_layers(copy)[:, 0]
    page = client.get("/v1/project/export/report.html", buffered=True)
    assert "attachment" in page.headers["Content-Disposition"]
    assert "&lt;b&gt;roof" in page.text
    assert "<b>" not in page.text


@pytest.mark.parametrize(
    "name", ["model.geoseg", "map-r1.tif", "map-r9.tif", "..%2Fproject.json", ".token", "project.json"]
)
def test_only_finished_products_are_sent(client: FlaskClient, name: str) -> None:
    assert client.get(f"/v1/project/export/{name}").status_code in (404, 422)


def test_wrong_jobs_are_refused(client: FlaskClient) -> None:
    for body in ({"kind": "map", "rasters": ["r9"]}, {"kind": "train", "recipe": "full"}, {"kind": "x"}):
        assert client.post("/v1/project/jobs", json=body).status_code == 422
    assert client.delete("/v1/project/jobs/none").status_code == 404


def test_a_queued_job_can_be_cancelled(client: FlaskClient) -> None:
    job = client.post("/v1/project/jobs", json={"kind": "train", "recipe": "quick"}).get_json()
    assert job["state"] == "queued"
    assert client.delete(f"/v1/project/jobs/{job['id']}").get_json()["state"] == "cancelled"
    assert client.get("/v1/project/jobs").get_json()[0]["state"] == "cancelled"
    assert client.get("/v1/project/status").get_json()["jobs"][0]["id"] == job["id"]


@pytest.mark.slow
def test_a_model_is_trained_and_the_raster_mapped_in_processes(
    session: LabelSession, client: FlaskClient, classes: list[dict[str, Any]], add: Add, tmp_path: Path
) -> None:
    ids, truth = [one["id"] for one in classes], mask()
    add(*(change(r, c, ids[truth[r, c]]) for r in range(30, 300, 45) for c in range(30, 300, 45)))
    add(change(100, 100, None, unsure=True))
    for body in ({"kind": "train", "recipe": "quick"}, {"kind": "map", "rasters": ["r1"]}):
        client.post("/v1/project/jobs", json=body)
        session.jobs._run(session.jobs._next())  # type: ignore[arg-type]
    jobs = client.get("/v1/project/jobs").get_json()
    assert [job["state"] for job in jobs] == ["done", "done"], jobs
    assert [one["name"] for one in jobs[0]["results"]] == [
        "map-r1.tif",
        "confidence-r1.tif",
        "polygons-r1.gpkg",
    ]
    path = tmp_path / "map.tif"
    path.write_bytes(client.get(jobs[0]["results"][0]["url"], buffered=True).data)
    with rasterio.open(path) as dataset:
        found = dataset.read(1)
    assert (found[25:, 25:] == truth[25:, 25:]).mean() > 0.9
    assert client.get("/v1/project/export").get_json()["unsaved"] == []
    add(change(200, 200, ids[0]))
    assert client.get("/v1/project/export").get_json()["unsaved"] == [
        "1 points have changed since the model was trained."
    ]


@pytest.mark.slow
def test_a_training_without_points_fails_with_the_reason(session: LabelSession, client: FlaskClient) -> None:
    client.post("/v1/project/jobs", json={"kind": "train", "recipe": "quick"})
    session.jobs._run(session.jobs._next())  # type: ignore[arg-type]
    [job] = client.get("/v1/project/jobs").get_json()
    assert job["state"] == "failed"
    assert "point" in job["message"]
