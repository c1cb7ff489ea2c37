"""``geoseg project`` and ``geoseg suggest``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Command = Callable[..., Any]


@pytest.fixture
def raster(tmp_path: Path, write_tiff: Callable[..., Path]) -> Path:
    rng = np.random.default_rng(0)
    return write_tiff(tmp_path / "scene.tif", rng.integers(1, 255, (3, 120, 140)).astype(np.uint8))


def test_a_project_is_made_described_and_asked_where_to_label_next(
    geoseg: Command, raster: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "lake"
    made = geoseg("project", "new", folder, raster)
    assert (made.code, f"Project: {folder}" in made.out) == (0, True)
    again = geoseg("project", "new", folder, raster)
    assert again.code == 8
    assert "not empty" in again.err
    found = json.loads(geoseg("project", "status", folder, "--json").out)
    assert (found["name"], found["classes"], found["unsure"]) == ("lake", [], 0)
    output = tmp_path / "next.geojson"
    places = json.loads(geoseg("suggest", folder, "--count", 5, "-o", output, "--json", "-q").out)[
        "suggestions"
    ]
    assert [one["reason"] for one in places] == ["coverage"] * 4 + ["random"]
    assert all(500_000 < one["x"] < 500_140 and 3_999_880 < one["y"] < 4_000_000 for one in places)
    written = json.loads(output.read_text())
    assert len(written["features"]) == 5
    assert written["crs"]["properties"]["name"] == "EPSG:32617"


def test_a_folder_without_a_project_is_an_error_that_says_what_to_do(geoseg: Command, tmp_path: Path) -> None:
    for command in (("project", "status"), ("project", "open"), ("suggest",)):
        found = geoseg(*command, tmp_path)
        assert found.code == 2
        assert "geoseg project new" in found.err


def test_a_damaged_description_is_named_with_the_file_that_keeps_the_points(
    geoseg: Command, tmp_path: Path
) -> None:
    (tmp_path / "project.json").write_text("{")
    for command in (("project", "status"), ("project", "open"), ("suggest",)):
        found = geoseg(*command, tmp_path)
        assert found.code == 2
        assert f"{tmp_path / 'project.json'}: the description of the project is damaged" in found.err
        assert f"import the points of {tmp_path / 'points.gpkg'}" in found.err
