"""Rasters of features, from the points to the scores of the map, and what is refused."""

import json

import numpy as np
import pytest
import rasterio
from tests.embeddings import vectors

from geoseg.learning.model_file import read_model

SIDE = 160


@pytest.fixture(scope="module")
def mask():
    return vectors.regions(SIDE, SIDE)


@pytest.fixture(scope="module")
def features(mask):
    found = vectors.by_angle(mask, 20)
    found[:, :9, :11] = np.nan
    return found


@pytest.fixture
def write(write_tiff, tmp_path):
    def write(name, values, **creation):
        ground = {"crs": vectors.CRS, "transform": vectors.NORTH_UP}
        return write_tiff(tmp_path / name, values, **{**ground, **creation})

    return write


@pytest.fixture
def raster(write, features):
    return write("features.tif", features)


@pytest.fixture
def points(mask, tmp_path):
    return vectors.write_points(tmp_path / "points.gpkg", mask, 15)


def train(geoseg, raster, points, tmp_path, *options):
    model = tmp_path / "model.geoseg"
    found = geoseg(
        "train", raster, "--points", points, "-o", model, "--input", "features", "--patch", 64, *options
    )
    assert found.code == 0, found.err
    return model, found


def test_a_raster_of_features_is_classified_pixel_by_pixel_from_end_to_end(
    geoseg, raster, points, features, mask, tmp_path
):
    """The map equals the head applied to the array, and is nodata where one of the features is NaN."""
    model, found = train(geoseg, raster, points, tmp_path)
    assert "head knn" in found.out
    assert "Validation by place: overall accuracy" in found.out
    assert "knn (k = " in found.err

    assert geoseg("predict", model, raster, "-o", tmp_path / "map.tif", "--window", 64).code == 0

    with rasterio.open(tmp_path / "map.tif") as dataset:
        found = dataset.read(1)
    assert (found[:9, :11] == 255).all()
    own = read_model(model)
    assert own.record.context_px == 0
    assert own.record.architecture.head == "knn"
    assert own.record.training["heads_tried"].keys() == {"knn", "logistic", "svm", "forest", "mlp"}
    from geoseg.inference.runtimes import onnx_runtime

    there = found != 255
    direct = onnx_runtime(own.onnx, 1)(np.nan_to_num(features)[None])[0].argmax(axis=0)
    assert np.array_equal(found[there], direct[there])
    check = vectors.write_points(tmp_path / "check.gpkg", mask, 60, seed=5)
    scores = json.loads(geoseg("evaluate", model, raster, "--points", check, "--json").out)
    assert scores["overall_accuracy"] > 0.97


def test_the_head_can_be_chosen_and_is_cross_validated(geoseg, raster, points, tmp_path):
    model, found = train(geoseg, raster, points, tmp_path, "--head", "svm")
    assert read_model(model).record.training["head"] == "svm"
    info = geoseg("info", model).out
    assert "head: svm" in info
    assert "feature_space: features, 20 bands" in info
    options = ("--cross-validate", "--points", points, "--input", "features", "--head", "knn", "--block", 32)
    found = json.loads(geoseg("evaluate", raster, *options, "--json").out)
    assert found["at_points"]["overall_accuracy"]["estimate"] > 0.95


def test_a_stack_of_features_is_one_vector(geoseg, write, features, points, tmp_path):
    parts = [write("a_1.tif", features[:12]), write("a_2.tif", features[12:])]
    found = geoseg(
        *("train", "--points", points, "-o", tmp_path / "m.geoseg", "--input", "features", "--patch", 64),
        *("--head", "knn", "--stack", *parts),
    )
    assert found.code == 0, found.err
    assert read_model(tmp_path / "m.geoseg").record.feature_space.bands == 20
    assert geoseg("predict", tmp_path / "m.geoseg", "--stack", *parts, "-o", tmp_path / "map.tif").code == 0


@pytest.mark.parametrize("bands", [19, 21])
def test_a_raster_of_more_or_fewer_bands_than_the_model_is_refused(
    geoseg, raster, points, write, features, tmp_path, bands
):
    model, _ = train(geoseg, raster, points, tmp_path, "--head", "knn")
    other = write("other.tif", np.concatenate([features, features])[:bands])
    found = geoseg("predict", model, other, "-o", tmp_path / "map.tif")
    assert found.code != 0
    assert "another number of bands than the features that the model was trained on" in found.err
    assert "expected features, 20 bands" in found.err
    assert f"got features, {bands} bands" in found.err


def test_integers_of_an_unknown_rule_are_refused(geoseg, write, features, points, tmp_path):
    raster = write("int8.tif", np.clip(np.nan_to_num(features), -127, 127).astype(np.int8))
    found = geoseg("train", raster, "--points", points, "-o", tmp_path / "m.geoseg", "--input", "features")
    assert found.code != 0
    assert "quantised to int8 by a rule that is not known" in found.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--input", "features", "--recipe", "quick"), "recipe quick is for images"),
        (("--input", "image", "--head", "knn"), "head knn is for rasters of features"),
        (("--head", "knn"), "add --input features"),
        (("--input", "features", "--indices", "1-2"), "spectral indices are for images"),
    ],
)
def test_options_that_contradict_each_other_are_refused(geoseg, raster, points, tmp_path, options, told):
    found = geoseg("train", raster, "--points", points, "-o", tmp_path / "m.geoseg", *options)
    assert found.code != 0
    assert told in found.err


def test_points_on_features_without_a_value_are_dropped_and_all_of_them_are_an_error(
    geoseg, write, features, points, mask, tmp_path
):
    holes = features.copy()
    holes[3, 80:] = np.nan
    _, found = train(geoseg, write("holes.tif", holes), points, tmp_path, "--head", "knn")
    assert "on nodata" in found.err
    holes[3] = np.nan
    found = geoseg(
        *("train", write("empty.tif", holes), "--points", points, "-o", tmp_path / "m.geoseg"),
        *("--input", "features"),
    )
    assert found.code != 0
    assert "no usable point" in found.err
