"""A labelling project of a small invented raster, and a client of its page."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from geoseg.settings.labelling import LabelSettings
from geoseg.web.label.app import create_label_app
from geoseg.workflows.labelling.project_files import create_project
from geoseg.workflows.labelling.session import LabelSession, open_session

SIDE = 320
TOKEN = "token-of-the-tests"
COLORS = np.array([[200, 180, 90], [40, 90, 50], [40, 60, 190]])


def mask() -> np.ndarray:
    """Three upright bands of field, wood and water."""
    return np.repeat(np.minimum(np.arange(SIDE) // 107, 2)[None], SIDE, axis=0)


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory, write_tiff: Callable[..., Path]) -> Path:
    """A raster of three classes; its upper left corner is nodata."""
    rng = np.random.default_rng(1)
    image = np.clip(COLORS[mask()] + rng.normal(0, 12, (SIDE, SIDE, 3)), 1, 255).astype(np.uint8)
    image[:20, :20] = 0
    return write_tiff(tmp_path_factory.mktemp("scene") / "scene.tif", np.moveaxis(image, -1, 0), nodata=0)


@pytest.fixture(scope="session")
def empty_project(scene: Path) -> Path:
    """A project without points, to copy."""
    return create_project(scene.parent / "project", [scene]).folder


@pytest.fixture
def session(scene: Path, empty_project: Path, tmp_path: Path) -> Iterator[LabelSession]:
    """An open project without points."""
    shutil.copy(scene, tmp_path)
    shutil.copytree(empty_project, tmp_path / "project")
    found = open_session(LabelSettings(project=tmp_path / "project"))
    yield found
    found.close()


@pytest.fixture
def client(session: LabelSession) -> FlaskClient:
    """A client with the cookie of the page."""
    client = create_label_app(session, token=TOKEN).test_client()
    assert client.get(f"/?token={TOKEN}").status_code == 302
    return client


@pytest.fixture
def classes(client: FlaskClient) -> list[dict[str, Any]]:
    """Field, wood and water."""
    return [
        client.post("/v1/project/classes", json={"name": name}).get_json()
        for name in ("field", "wood", "water")
    ]


def change(row: float, col: float, class_id: int | None, **more: Any) -> dict[str, Any]:
    """A change that adds a point at a row and column of the scene."""
    place = {"type": "Point", "coordinates": [500_000 + col + 0.5, 4_000_000 - row - 0.5]}
    return {
        "op": "add",
        "id": str(uuid.uuid4()),
        "raster": "r1",
        "geometry": place,
        "class_id": class_id,
        **more,
    }


@pytest.fixture
def add(client: FlaskClient) -> Callable[..., dict[str, Any]]:
    """Add changes as an annotator; return the answer."""

    def send(*changes: dict[str, Any], annotator: str = "ann", status: int = 200) -> dict[str, Any]:
        answer = client.post("/v1/project/changes", json={"annotator": annotator, "changes": list(changes)})
        assert answer.status_code == status, answer.get_json()
        found: dict[str, Any] = answer.get_json()
        return found

    return send
