"""The map of the page: features, update, tiles, areas, accuracy."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image
from tests.web.label.conftest import change, mask

from geoseg.workflows.labelling.session import LabelSession

Add = Callable[..., dict[str, Any]]
EXTENT = [500_000, 3_999_680, 500_320, 4_000_000]
VIEW = {"raster": "r1", "extent": EXTENT}
PREDICTION = "/v1/project/rasters/r1/prediction"


@pytest.fixture
def read(session: LabelSession, client: FlaskClient) -> FlaskClient:
    """The client of a session whose features are read."""
    assert client.post("/v1/project/view", json=VIEW).status_code == 202
    while session.reader.read_next():
        pass
    return client


def points(ids: list[int], count: int, seed: int = 0, **more: Any) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    rows, cols = rng.integers(25, 320, count), rng.integers(25, 320, count)
    truth = mask()
    return [change(int(r), int(c), ids[truth[r, c]], **more) for r, c in zip(rows, cols, strict=True)]


def tile(client: FlaskClient, path: str) -> np.ndarray:
    answer = client.get(f"{PREDICTION}/{path}")
    assert answer.status_code == 200
    return np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA"))


def test_points_of_two_classes_give_a_map_of_the_view(
    read: FlaskClient, classes: list[dict[str, Any]], add: Add
) -> None:
    ids = [one["id"] for one in classes]
    assert read.get(f"{PREDICTION}/1/0/0.png").status_code == 204
    add(change(50, 50, ids[0]))
    missing = read.post("/v1/project/update", json=VIEW)
    assert missing.status_code == 422
    assert "two classes" in missing.get_json()["detail"]
    add(*points(ids, 30), change(5, 5, ids[0]))
    found = read.post("/v1/project/update", json=VIEW).get_json()
    assert found["model"]["points"] == 31
    assert "nodata" in found["model"]["message"]
    assert found["features"] == {"done": 1, "total": 1}
    colors = np.array([[int(one["color"][k : k + 2], 16) for k in (1, 3, 5)] for one in classes])
    for level, step in ((1, 1), (0, 2)):
        shown = tile(read, f"{level}/0/0.png")
        expected = colors[mask()[::step, ::step]][20:256, 20:256]
        there = shown[20 : 20 + expected.shape[0], 20 : 20 + expected.shape[1]]
        assert (there[..., :3] == expected).all(axis=2).mean() > 0.9
        assert not shown[: 20 // step, : 20 // step, 3].any()
    assert tile(read, "1/0/0.png?view=confidence")[..., 3].any()
    assert read.get(f"{PREDICTION}/1/0/0.png").headers["X-Model-Revision"] == "1"
    areas = read.get(f"/v1/project/areas?raster=r1&extent={','.join(map(str, EXTENT))}").get_json()
    assert areas["share_computed"] == 1
    assert sum(one["hectares"] for one in areas["classes"]) == pytest.approx(
        (320 * 320 - 400) / 10_000, abs=0.01
    )
    pixel = read.get("/v1/project/pixel?raster=r1&x=500050.5&y=3999899.5").get_json()
    assert pixel["class_id"] == ids[0]
    assert sum(one["probability"] for one in pixel["probabilities"]) == pytest.approx(1, abs=0.001)


def test_a_line_and_a_polygon_train_and_a_check_point_does_not(
    read: FlaskClient, classes: list[dict[str, Any]], add: Add
) -> None:
    line = {"type": "LineString", "coordinates": [[500_030, 3_999_900], [500_080, 3_999_900]]}
    area = {
        "type": "Polygon",
        "coordinates": [
            [[500_150, 3_999_900], [500_180, 3_999_900], [500_180, 3_999_930], [500_150, 3_999_900]]
        ],
    }
    add(
        {**change(0, 0, classes[0]["id"]), "geometry": line},
        {**change(0, 0, classes[1]["id"]), "geometry": area},
        change(100, 300, classes[2]["id"], role="check"),
        change(100, 200, None, unsure=True),
    )
    found = read.post("/v1/project/update", json=VIEW).get_json()
    assert found["model"]["points"] == 2
    assert (
        read.get("/v1/project/pixel?raster=r1&x=500060.5&y=3999800.5").get_json()["class_id"]
        == classes[0]["id"]
    )


def test_accuracy_comes_from_check_points_alone_and_needs_thirty(
    read: FlaskClient, classes: list[dict[str, Any]], add: Add
) -> None:
    ids = [one["id"] for one in classes]
    assert read.get("/v1/project/status").get_json()["accuracy"] is None
    add(*points(ids, 40))
    read.post("/v1/project/update", json=VIEW)
    few = read.get("/v1/project/status").get_json()["accuracy"]
    assert few["overall"] is None
    assert few["message"].startswith("too few points to say: 0 of 30")
    add(*points(ids, 40, seed=1, role="check", source="random"))
    enough = read.get("/v1/project/status").get_json()["accuracy"]
    assert enough["points"] == 40
    assert enough["overall"]["low"] <= enough["overall"]["estimate"] <= enough["overall"]["high"]
    assert enough["overall"]["estimate"] > 0.8
    assert [one["id"] for one in enough["classes"]] == ids


def test_status_counts_features_and_revisions(read: FlaskClient) -> None:
    found = read.get("/v1/project/status").get_json()
    assert found["features"]["r1"] == {
        "done": 1,
        "total": 1,
        "view_done": 1,
        "view_total": 1,
        "message": None,
    }
    assert (found["model"], found["previews"]) == (None, {"r1": True})


@pytest.mark.parametrize("extent", ["1,2,3", "a,b,c,d", "1,2,3,inf"])
def test_a_wrong_extent_is_refused(client: FlaskClient, extent: str) -> None:
    assert client.get(f"/v1/project/areas?raster=r1&extent={extent}").status_code == 422


def test_first_suggestions_cover_and_later_ones_question_the_model(
    read: FlaskClient, classes: list[dict[str, Any]], add: Add
) -> None:
    ids = [one["id"] for one in classes]
    wanted = {"raster": "r1", "count": 10, "seed": 1}
    first = read.post("/v1/project/suggestions", json=wanted).get_json()
    again = read.post("/v1/project/suggestions", json=wanted).get_json()
    assert [one["x"] for one in again["suggestions"]] == [one["x"] for one in first["suggestions"]]
    reasons = [one["reason"] for one in first["suggestions"]]
    assert (reasons.count("coverage"), reasons.count("random")) == (8, 2)
    truth = mask()
    seen = {truth[int(4_000_000 - one["y"]), int(one["x"] - 500_000)] for one in first["suggestions"][:8]}
    assert seen == {0, 1, 2}
    add(*points(ids, 40))
    read.post("/v1/project/update", json=VIEW)
    later = read.post("/v1/project/suggestions", json={**wanted, "extent": EXTENT}).get_json()["suggestions"]
    unsure = [one for one in later if one["reason"] == "uncertain"]
    assert len(unsure) == 8
    assert all(one["class_id"] in ids for one in unsure)
    borders = [min(abs(one["x"] - 500_000 - edge) for edge in (107, 214)) for one in unsure]
    assert sorted(borders)[2] < 24


def test_an_area_without_features_gets_random_places_only(client: FlaskClient) -> None:
    found = client.post("/v1/project/suggestions", json={"raster": "r1", "count": 5, "seed": 0}).get_json()
    assert {one["reason"] for one in found["suggestions"]} == {"random"}
    assert "being read" in found["message"]
    assert client.post("/v1/project/suggestions", json={"raster": "r7"}).status_code == 422
