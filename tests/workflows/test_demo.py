"""The demo: the whole job on invented landscapes, in one folder, at a size that takes seconds."""

from __future__ import annotations

import json

import geopandas
import pytest
import rasterio
from PIL import Image

from geoseg.domain.landscape.composition import LANDSCAPE_CLASSES
from geoseg.errors import OutputError
from geoseg.learning.model_file import read_record
from geoseg.settings import DemoSettings
from geoseg.workflows.demo import demo

NAMES = [name for name, _ in LANDSCAPE_CLASSES]


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """A demo of one small landscape to train on."""
    folder = tmp_path_factory.mktemp("demo") / "results"
    return demo(DemoSettings(output=folder, size=256, images=1, per_class=(3, 5)))


def test_everything_is_in_one_folder(shown):
    kinds = {"points": "gpkg", "model": "geoseg", "map": "tif", "confusion": "png"}
    made = {f"{kind}-{n}.{suffix}" for n in (3, 5) for kind, suffix in kinds.items()}
    there = {path.name for path in shown.folder.iterdir()}

    assert made | {"data", "results.json", "results.md", "comparison.png"} <= there
    assert {p.name for p in (shown.folder / "data").iterdir()} >= {
        "images",
        "masks",
        "train.txt",
        "legend.json",
    }
    assert not [name for name in there if "partial" in name]


def test_the_results_hold_what_the_readme_says(shown):
    results = json.loads((shown.folder / "results.json").read_text())

    assert results == shown.record
    assert [run["points_per_class"] for run in results["runs"]] == [3, 5]
    for run in results["runs"]:
        assert run["points_per_image"] == run["points_total"] <= 6 * run["points_per_class"]
        assert list(run["iou"]) == NAMES
        assert all(value is None or 0 <= value <= 1 for value in run["iou"].values())
        assert all(
            isinstance(run[key], float) for key in ("final_loss", "miou", "overall_accuracy", "seconds")
        )
        assert all((shown.folder / name).is_file() for name in run["files"].values())


def test_the_table_says_the_same_in_markdown(shown):
    header, rule, *rows = (shown.folder / "results.md").read_text().splitlines()

    assert [cell.strip() for cell in header.strip("|").split("|")] == list(shown.header)
    assert rule.count("---:") == len(shown.header)
    assert [[cell.strip() for cell in row.strip("|").split("|")] for row in rows] == shown.rows
    assert [row[0] for row in shown.rows] == ["3", "5"]
    assert {f"IoU {name} %" for name in NAMES} < set(shown.header)


def test_the_maps_lie_on_the_held_out_scene_and_the_points_on_the_other(shown):
    scene, held_out = (shown.folder / "data" / "images" / f"scene-{n}.tif" for n in (0, 1))
    with rasterio.open(shown.folder / "map-3.tif") as made, rasterio.open(held_out) as given:
        assert (made.crs, made.transform, made.shape) == (given.crs, given.transform, given.shape)
        assert made.nodata == 255
    table = geopandas.read_file(shown.folder / "points-5.gpkg", layer="points")
    assert set(table["image"]) == {scene.stem}
    assert table["class"].value_counts().max() == 5
    assert read_record(shown.folder / "model-5.geoseg").legend.names == tuple(NAMES)


def test_the_comparison_is_one_picture(shown):
    with Image.open(shown.figure) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height > 400


def test_an_earlier_demo_is_not_replaced_unasked(shown):
    before = (shown.folder / "results.json").read_bytes()

    with pytest.raises(OutputError, match=r"this folder holds results of an earlier demo\. Use --overwrite"):
        demo(DemoSettings(output=shown.folder, size=256, images=1))
    assert (shown.folder / "results.json").read_bytes() == before


@pytest.mark.parametrize("name", ["thesis.odt", "results.json"])
def test_a_folder_of_the_users_own_is_no_place_for_a_demo(tmp_path, name):
    (tmp_path / name).write_text("{}")

    with pytest.raises(OutputError, match=r"other files|results of another command"):
        demo(DemoSettings(output=tmp_path, size=256, images=1, overwrite=True))
    assert [path.name for path in tmp_path.iterdir()] == [name]
