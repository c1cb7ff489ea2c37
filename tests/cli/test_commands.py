"""The commands of the README, with their options as written there, on tiny files."""

from __future__ import annotations

import json

import geopandas
import numpy as np
import pytest
import rasterio

from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.learning.model_file import read_record


def test_points_sample_draws_the_number_asked_for_in_every_tile(geoseg, dataset, tmp_path):
    path = tmp_path / "points.gpkg"
    asked = ["--split", "train", "--per-class", 10, "--tile", 32, "--seed", 0, "-o", path]

    outcome = geoseg("points", "sample", dataset, *asked)

    assert outcome.code == 0
    table = geopandas.read_file(path, layer="points")
    assert set(table["image"]) == {"east", "west"}
    tiles = table.groupby(["image", table["row"] // 32, table["col"] // 32, "class"]).size()
    assert tiles.max() == 10
    assert f"{len(table)} points on 2 image(s) in {path}: field" in outcome.out


def test_points_sample_describes_its_points_as_json(geoseg, dataset, tmp_path):
    path = tmp_path / "points.csv"

    outcome = geoseg("points", "sample", dataset, "--per-class", 4, "--scope", "total", "-o", path, "--json")

    record = json.loads(outcome.out)
    assert record["points_by_class"] == {"field": 4, "wood": 4, "water": 4}
    assert (record["points_total"], record["output"]) == (12, str(path))
    assert len(record["sha256"]) == 64
    assert "Reading masks: 3/3" in outcome.err


def test_points_sample_says_where_a_class_was_rare(geoseg, dataset, tmp_path):
    path = tmp_path / "points.csv"
    asked = ["--split", "test", "--per-class", 9000, "-o", path]

    outcome = geoseg("points", "sample", dataset, *asked)

    assert "Class 'field' has fewer than 9000 pixels to label in 1 place(s)" in outcome.err


def test_train_on_a_dataset_with_weights_and_bands(geoseg, dataset, points, weights, cheaply, tmp_path):
    path = tmp_path / "model.geoseg"
    wish = ["--recipe", "pfce", "--weights", weights, "--bands", "1,2,3", "--epochs", "1", "-o", path]

    outcome = geoseg("train", dataset, "--points", points, *cheaply, *wish, "--json")

    record = json.loads(outcome.out)
    assert outcome.code == 0
    assert record["model"] == str(path)
    assert record["points_by_class"] == {"field": 10, "wood": 10, "water": 10}
    assert str(weights) in record["weights"]
    assert "start at random" not in record["weights"]
    assert "Training: 2/2, epoch 1/1, loss" in outcome.err
    assert "30 points on 2 raster(s), 6 of them held out" in outcome.err
    assert read_record(path).bands == (1, 2, 3)
    assert read_record(path).recipe == "pfce"


def test_train_on_a_raster_with_field_points_and_a_legend(geoseg, raster, classes, lightly, tmp_path):
    column, row = np.meshgrid([10, 40, 80], [30, 50, 70, 90])
    places = geopandas.points_from_xy(501_000 + 1000 + column.ravel() + 0.5, 4_000_000 - row.ravel() - 0.5)
    kinds = {"kind": ["field", "wood", "water"] * 4}
    geopandas.GeoDataFrame(kinds, geometry=places, crs="EPSG:32617").to_file(tmp_path / "field.gpkg")
    write_legend(tmp_path / "legend.json", classes, False)
    path = tmp_path / "model.geoseg"
    asked = ["--class-column", "kind", "--legend", tmp_path / "legend.json", "--device", "cpu", "-o", path]

    outcome = geoseg("train", raster, "--points", tmp_path / "field.gpkg", *lightly, *asked)

    assert outcome.code == 0
    assert f"{path}: loss " in outcome.out
    assert "alidation" in outcome.out
    assert f"Next: geoseg predict {path} {raster} -o map.tif" in outcome.out
    record = read_record(path)
    assert record.legend == classes
    assert record.training["points_by_class"] == {"field": 4, "wood": 4, "water": 4}
    assert record.resolution_m == 1


def test_predict_with_confidence_and_window(geoseg, model, raster, tmp_path):
    made = ["-o", tmp_path / "map.tif", "--confidence", tmp_path / "confidence.tif", "--window", 64]

    outcome = geoseg("predict", model, raster, *made)

    assert outcome.code == 0
    written = [tmp_path / name for name in ("map.tif", "confidence.tif", "map.qml", "confidence.qml")]
    first, following = outcome.out.splitlines()
    assert first == f"{raster} -> {', '.join(map(str, written))}"
    assert following == f"Next: geoseg evaluate {written[0]} --points check.gpkg"
    assert set(written) <= set(tmp_path.iterdir())
    assert "Predicting north.tif: 4/4" in outcome.err
    with rasterio.open(tmp_path / "map.tif") as mapped, rasterio.open(tmp_path / "confidence.tif") as sure:
        assert mapped.shape == sure.shape == (96, 96)
        share = sure.read(1, masked=True) * sure.scales[0]
        np.testing.assert_array_equal(share.mask, mapped.read(1) == 255)
    assert share.min() >= 1 / 3 - 0.01  # the most probable of three classes
    assert share.max() <= 1


def test_predict_writes_several_rasters_to_a_folder(geoseg, model, dataset, tmp_path):
    images = [dataset / "images" / name for name in ("east.tif", "west.tif")]

    outcome = geoseg("predict", model, *images, "-o", tmp_path / "maps", "--json", "--quiet")

    maps = json.loads(outcome.out)["maps"]
    assert outcome.err == ""
    assert [m["raster"] for m in maps] == [str(image) for image in images]
    assert [m["class_map"] for m in maps] == [str(tmp_path / "maps" / i.name) for i in images]
    assert [sum(m["pixels"].values()) for m in maps] == [96 * 96] * 2
    assert [m["pixels"]["255"] for m in maps] == [240] * 2
    assert sorted(p.name for p in (tmp_path / "maps").glob("*.tif")) == ["east.tif", "west.tif"]


def test_predict_makes_a_folder_whose_name_ends_in_a_slash(geoseg, model, raster, tmp_path):
    outcome = geoseg("predict", model, raster, "-o", f"{tmp_path}/maps/")

    assert outcome.code == 0
    assert (tmp_path / "maps" / "north.tif").exists()


def test_evaluate_a_map_prints_a_table(geoseg, dataset, classes, tmp_path):
    truth = dataset / "masks" / "north.tif"
    legend = tmp_path / "legend.json"
    write_legend(legend, classes, False)

    outcome = geoseg("evaluate", truth, "--truth", truth, "--legend", legend)

    lines = [line.split() for line in outcome.out.splitlines()]
    assert lines[0] == ["class", *("IoU", "%", "F1", "%", "precision", "%", "recall", "%"), "pixels"]
    assert [line[:5] for line in lines[1:4]] == [[name, *["100.0"] * 4] for name in classes.names]
    assert outcome.out.endswith("mIoU 100.0 %, overall accuracy 100.0 %\n")


def test_evaluate_a_model_prints_one_json_object(geoseg, model, dataset):
    outcome = geoseg("evaluate", model, dataset, "--split", "test", "--json")

    record = json.loads(outcome.out)
    assert {"miou", "iou", "overall_accuracy", "confusion"} <= record.keys()
    assert np.sum(record["confusion"]) == record["pixels"] == 96 * 96 - 240
    assert list(record["images"]) == ["north"]
    assert "Evaluating: 1/1" in outcome.err


@pytest.mark.parametrize("kind", ["model", "raster", "dataset"])
def test_info_says_what_a_file_is(geoseg, request, kind):
    path = request.getfixturevalue(kind)

    plain, as_json = geoseg("info", path), geoseg("info", path, "--json")

    record = json.loads(as_json.out)
    assert record["kind"] == kind
    assert plain.out.splitlines()[0] == f"kind: {kind}"
    assert plain.code == as_json.code == 0


def test_demo_is_told_where_to_write(geoseg, tmp_path):
    (tmp_path / "results.json").write_text('{"landscape_seeds": {"train": [0]}, "runs": [{"miou": 0.5}]}')

    outcome = geoseg("demo", "-o", tmp_path, "--seed", 3)

    assert outcome.code == 8
    assert (
        outcome.err
        == f"Error: {tmp_path}: this folder holds results of an earlier demo. Use --overwrite to replace them.\n"
    )


def test_outputs_are_replaced_only_when_asked(geoseg, model, dataset, raster, tmp_path):
    path = tmp_path / "map.tif"
    assert geoseg("predict", model, dataset / "images" / "east.tif", "-o", path).code == 0
    earlier = path.read_bytes()

    refused = geoseg("predict", model, raster, "-o", path)

    assert refused.code == 8
    assert refused.err == f"Error: {path}: the file exists. Use --overwrite to replace it.\n"
    assert path.read_bytes() == earlier
    assert geoseg("predict", model, raster, "-o", path, "--overwrite").code == 0
    with rasterio.open(path) as made, rasterio.open(raster) as given:
        assert made.transform == given.transform
