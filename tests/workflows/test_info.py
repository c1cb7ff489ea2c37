"""Info: what a file or folder is, as JSON values."""

from __future__ import annotations

import json

import pytest

from geoseg.domain.training_places import TrainingPlaces
from geoseg.errors import ModelFileError, RasterError
from geoseg.geodata.outputs.class_maps import class_map_writer, origin_tags
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.workflows.info import info


def test_a_model_tells_what_it_takes_and_how_it_was_trained(trained):
    record = info(trained)

    assert record["kind"] == "model"
    assert record["classes"] == ["field", "wood", "water"]
    assert (record["recipe"], record["backbone"], record["patch_px"]) == ("pfce", "mobilenet_v3_large", 64)
    assert (record["bands"], record["dtype"], record["resolution_m"]) == ([1, 2, 3], "uint8", 1.0)
    assert record["epochs"] == record["last_epoch"]["epoch"] == 1
    assert record["training"]["points_total"] == 30
    json.dumps(record, allow_nan=False)


def test_a_raster_tells_its_grid(raster):
    record = info(raster)

    assert record["kind"] == "raster"
    assert [record[key] for key in ("height", "width", "bands", "dtype")] == [96, 96, 3, "uint8"]
    assert record["transform"] == [1, 0, 502_000, 0, -1, 4_000_000]
    assert (record["resolution_m"], record["nodata"]) == (1, 0)
    assert record["crs"] == "WGS 84 / UTM zone 17N (EPSG:32617)"
    assert record["warnings"] == []
    json.dumps(record, allow_nan=False)


def test_a_class_map_tells_its_classes_colours_and_model(raster, classes, tmp_path):
    origin = origin_tags({"file": "m.geoseg", "recipe": "forest"}, TrainingPlaces("hash", 0))
    grid = describe_raster(raster)
    with class_map_writer(tmp_path / "map.tif", grid, classes, overwrite=False, origin=origin):
        pass

    record = info(tmp_path / "map.tif")

    assert record["kind"] == "class map"
    assert record["classes"] == ["field", "wood", "water"]
    assert record["colors"] == ["#e0c050", "#206030", "#3060d0"]
    assert record["model"] == {"file": "m.geoseg", "recipe": "forest"}
    assert record["training_points"] == 0
    json.dumps(record, allow_nan=False)


def test_a_forest_has_no_backbone(trained, tmp_path):
    content = trained.read_bytes()
    # The same length, so that the file stays whole.
    (tmp_path / "forest.geoseg").write_bytes(
        content.replace(b'\\"head\\": \\"aspp\\"', b'\\"head\\":\\"forest\\"', 1).replace(
            b'\\"head\\":\\"forest\\", ', b'\\"head\\":\\"forest\\",', 1
        )
    )

    record = info(tmp_path / "forest.geoseg")

    assert "backbone" not in record
    assert info(trained)["backbone"] == "mobilenet_v3_large"


def test_a_dataset_tells_its_images_splits_and_classes(dataset):
    record = info(dataset)

    assert record["kind"] == "dataset"
    assert record["images"] == ["east", "north", "west"]
    assert record["masks"] == 3
    assert record["splits"] == ["test", "train"]
    assert record["classes"] == ["field", "wood", "water"]


def test_what_is_nothing_of_these_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("text")

    with pytest.raises(RasterError, match=r"notes\.txt: this file is not a readable image"):
        info(tmp_path / "notes.txt")
    with pytest.raises(RasterError, match="this is a folder"):
        info(tmp_path)
    with pytest.raises(ModelFileError, match="no such model file"):
        info(tmp_path / "nowhere.geoseg")
