"""Points and classes of the page."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from tests.web.label.conftest import change

Add = Callable[..., dict[str, Any]]
Classes = list[dict[str, Any]]


def test_an_empty_project_describes_its_raster(client: FlaskClient) -> None:
    project = client.get("/v1/project").get_json()
    [raster] = project["rasters"]
    assert (raster["id"], raster["width"], raster["levels"]) == ("r1", 320, 2)
    assert raster["crs"]["code"] == "EPSG:32617"
    assert raster["extent"] == [500_000, 3_999_680, 500_320, 4_000_000]
    assert len(raster["bands"]) == 3
    assert project["model"] is None


def test_points_of_all_kinds_come_back_as_they_were_sent(
    client: FlaskClient, classes: Classes, add: Add
) -> None:
    shapes = [
        {"type": "Point", "coordinates": [500_050.5, 3_999_900.5]},
        {"type": "LineString", "coordinates": [[500_050.5, 3_999_900.5], [500_060.5, 3_999_900.5]]},
        {
            "type": "Polygon",
            "coordinates": [
                [[500_050, 3_999_900], [500_060, 3_999_900], [500_050, 3_999_910], [500_050, 3_999_900]]
            ],
        },
    ]
    sent = [{**change(0, 0, classes[0]["id"]), "geometry": shape} for shape in shapes]
    add(*sent, {**change(60, 60, None), "unsure": True, "role": "check", "source": "random"})
    found = client.get("/v1/project/points").get_json()["points"]
    assert [one["geometry"] for one in found[:3]] == shapes
    assert (found[3]["class_id"], found[3]["unsure"], found[3]["role"], found[3]["source"]) == (
        None,
        True,
        "check",
        "random",
    )
    assert [one["points"] for one in client.get("/v1/project").get_json()["classes"]] == [3, 0, 0]


def test_a_point_of_another_tab_is_a_conflict_with_its_current_state(
    client: FlaskClient, classes: Classes, add: Add
) -> None:
    point = add(change(50, 50, classes[0]["id"]))["points"][0]
    stale = {"op": "update", "id": point["id"], "revision": point["revision"], "class_id": classes[1]["id"]}
    add(stale)
    problem = add(stale, annotator="bob", status=409)
    assert problem["type"] == "urn:geoseg:problem:conflict"
    assert problem["conflicts"][0]["current"]["class_id"] == classes[1]["id"]


def test_undo_and_redo_tell_what_comes_next(client: FlaskClient, classes: Classes, add: Add) -> None:
    answer = add(change(50, 50, classes[0]["id"]))
    assert (answer["undo"], answer["redo"]) == ("add 1 point", None)
    undone = client.post("/v1/project/undo", json={"annotator": "ann"}).get_json()
    assert undone["deleted"] == [answer["points"][0]["id"]]
    assert (undone["undo"], undone["redo"]) == (None, "add 1 point")
    assert client.post("/v1/project/undo", json={"annotator": "ann"}).status_code == 409
    redone = client.post("/v1/project/redo", json={"annotator": "ann"}).get_json()
    assert len(redone["points"]) == 1


@pytest.mark.parametrize(
    "fault",
    [
        {"geometry": {"type": "Point", "coordinates": [0, 0]}},
        {"geometry": {"type": "Point", "coordinates": []}},
        {"geometry": {"type": "Point", "coordinates": ["a", 1]}},
        {
            "geometry": {
                "type": "Polygon",
                "coordinates": [
                    [
                        [500_000, 4e6],
                        [500_010, 3_999_990],
                        [500_010, 4e6],
                        [500_000, 3_999_990],
                        [500_000, 4e6],
                    ]
                ],
            }
        },
        {"geometry": {"type": "GeometryCollection", "geometries": []}},
        {"class_id": 99},
        {"class_id": None},
        {"raster": "r9"},
        {"id": "../../x"},
        {"op": "destroy"},
        {"role": "boss"},
        {"weight": 3},
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_a_reason(
    client: FlaskClient, classes: Classes, add: Add, fault: dict[str, Any]
) -> None:
    problem = add(change(50, 50, classes[0]["id"]), {**change(60, 60, classes[0]["id"]), **fault}, status=422)
    assert problem["detail"]
    assert client.get("/v1/project/points").get_json()["points"] == []


def test_class_names_are_text_and_unique(client: FlaskClient) -> None:
    name = "<img src=x onerror=alert(1)> & co"
    made = client.post("/v1/project/classes", json={"name": name, "color": "#010203"}).get_json()
    assert (made["name"], made["color"], made["key"]) == (name, "#010203", "1")
    other = client.post("/v1/project/classes", json={"name": "wood"}).get_json()
    path = f"/v1/project/classes/{other['id']}"
    taken = client.patch(path, json={"revision": other["revision"], "name": name.upper()})
    assert taken.status_code == 422
    changed = client.patch(path, json={"revision": other["revision"], "key": "1"}).get_json()
    assert changed["key"] == "1"
    assert [one["key"] for one in client.get("/v1/project").get_json()["classes"]] == ["", "1"]
    assert client.delete(f"{path}?revision={other['revision']}").status_code == 409
    assert client.delete(f"{path}?revision={changed['revision']}").status_code == 204


def test_points_and_classes_of_files_are_imported_in_one_step(client: FlaskClient) -> None:
    table = (
        b"kind,x,y,crs\nroad,500050,3999950,EPSG:32617\nroad,500060,3999950,EPSG:32617\nroof,0,0,EPSG:32617\n"
    )
    form = {"file": (io.BytesIO(table), "field.csv"), "class_column": "kind", "annotator": "ann"}
    found = client.post("/v1/project/points/import", data=form).get_json()
    assert found["imported"] == 2
    assert found["dropped"] == [{"reason": "outside every raster", "count": 1}]
    assert [one["source"] for one in client.get("/v1/project/points").get_json()["points"]] == [
        "imported"
    ] * 2
    assert client.post("/v1/project/undo", json={"annotator": "ann"}).get_json()["undo"] is None
    scheme = json.dumps(
        [{"id": 0, "name": "Road", "color": "#aabbcc"}, {"id": 1, "name": "field", "color": "#ddeeff"}]
    )
    form = {"file": (io.BytesIO(scheme.encode()), "legend.json")}
    classes = client.post("/v1/project/classes/import", data=form).get_json()
    assert [(one["name"], one["color"]) for one in classes] == [("road", "#aabbcc"), ("field", "#ddeeff")]
    bad = client.post("/v1/project/points/import", data={"file": (io.BytesIO(b"\0"), "x.gpkg")})
    assert bad.status_code == 422
    assert "x.gpkg" in bad.get_json()["detail"]
    assert client.post("/v1/project/points/import", data={}).status_code == 422


def test_display_and_annotator_are_kept(client: FlaskClient) -> None:
    display = {"bands": [3, 2, 1], "stretch": [[0, 100]] * 3}
    answer = client.patch("/v1/project", json={"annotator": "eve", "display": {"r1": display}}).get_json()
    assert answer["annotator"] == "eve"
    assert client.get("/v1/project").get_json()["rasters"][0]["display"] == display
    wrong = client.patch("/v1/project", json={"display": {"r1": {"bands": [9], "stretch": [[0, 1]]}}})
    assert wrong.status_code == 422
