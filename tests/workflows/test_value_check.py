"""A model is not applied to values that it cannot know, and nodata that nobody declared is named."""

from __future__ import annotations

import json
from dataclasses import replace

import geopandas as gpd
import numpy as np
import pytest
import rasterio

from geoseg.domain.ports import NullProgress
from geoseg.domain.windows import random_windows
from geoseg.errors import PixelValuesError
from geoseg.learning.model_file import pack_model, read_model
from geoseg.settings import EvaluateSettings, PredictSettings, TrainSettings
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.training.train import train


@pytest.fixture
def rewritten(raster, write_tiff, tmp_path):
    """Write the held-out raster with other values."""

    def write(change, dtype, name="other.tif", **creation):
        with rasterio.open(raster) as dataset:
            values = dataset.read()
        return write_tiff(
            tmp_path / name, change(values.astype(np.float64)).astype(dtype), index=2, **creation
        )

    return write


@pytest.fixture
def mapped(model, tmp_path):
    """Map a raster and return what became of it."""

    def run(path, model=model, **settings):
        output = tmp_path / f"{path.stem}-map.tif"
        return predict(
            PredictSettings(model=model, rasters=(path,), output=output, device="cpu", **settings),
            NullProgress(),
        )[0]

    return run


def ids(prediction):
    with rasterio.open(prediction.class_map) as dataset:
        return dataset.read(1)


@pytest.mark.parametrize(("factor", "dtype"), [(40, "uint16"), (1 / 255, "float32"), (40, "float32")])
def test_values_in_another_unit_are_refused_with_both_ranges_and_a_remedy(rewritten, mapped, factor, dtype):
    path = rewritten(lambda values: values * factor, dtype, nodata=0)
    with pytest.raises(PixelValuesError) as caught:
        mapped(path)
    error = caught.value
    assert error.where == path
    assert "band 1" in str(error.expected)
    assert "(uint8)" in str(error.expected)
    assert f"({dtype})" in str(error.got)
    assert "gdal_translate -ot Byte -scale 0 " in str(error.hint)
    assert not list(path.parent.glob("*-map.tif*"))


def test_a_model_file_without_statistics_judges_by_its_normalisation(model, rewritten, mapped, tmp_path):
    found, old = read_model(model), tmp_path / "old.geoseg"
    old.write_bytes(pack_model(found.network, replace(found.record, values=())))
    with pytest.raises(PixelValuesError):
        mapped(rewritten(lambda values: values * 40, "uint16", nodata=0), model=old)


def test_who_insists_gets_the_map_and_the_warning(rewritten, mapped):
    found = mapped(rewritten(lambda values: values * 40, "uint16", nodata=0), any_values=True)
    assert found.class_map.exists()
    (warning,) = found.warnings
    assert warning.startswith(
        "other.tif: the pixel values are on another scale than at training; expected band 1 "
    )


@pytest.mark.parametrize("dtype", ["uint16", "int16", "float32", "float64"])
def test_8_bit_values_pass_in_any_type_and_map_alike(raster, rewritten, mapped, dtype):
    found = mapped(rewritten(lambda values: values, dtype, nodata=0))
    assert found.warnings == ()
    np.testing.assert_array_equal(ids(found), ids(mapped(raster)))


def test_a_dark_exposure_is_mapped_with_a_warning_that_names_bands_and_values(rewritten, mapped):
    def darker(values):
        return np.where(values == 0, 0, np.maximum(values // 8, 1))

    (warning,) = mapped(rewritten(darker, "uint8", nodata=0)).warnings
    assert "many values lie outside the range of the training values (band 1: " in warning
    assert "band 3" in warning


@pytest.mark.parametrize("color", [(40, 60, 190), (255, 255, 255), (1, 1, 1)])
def test_an_image_of_one_colour_is_mapped(write_tiff, mapped, tmp_path, color):
    path = write_tiff(tmp_path / "plain.tif", np.full((64, 64, 3), color, np.uint8).transpose(2, 0, 1))
    assert mapped(path).class_map.exists()


def test_a_model_is_not_scored_on_values_in_another_unit(model, dataset, rewritten, geoseg):
    points = dataset.parent / "points-north.gpkg"
    frame = gpd.GeoDataFrame(
        {"class": ["field", "water"]},
        geometry=gpd.points_from_xy([502020, 502090], [3999950] * 2),
        crs="EPSG:32617",
    )
    frame.to_file(points)
    path = rewritten(lambda values: values * 40, "uint16", nodata=0)
    with pytest.raises(PixelValuesError):
        evaluate(EvaluateSettings(subject=model, data=path, points=points, device="cpu"))
    refused = geoseg("evaluate", model, path, "--points", points)
    assert (refused.code, "--any-values" in refused.err) == (3, True)
    insisted = geoseg(
        "evaluate", model, path, "--points", points, "--any-values", "--json", "--device", "cpu"
    )
    assert "another scale" in json.loads(insisted.out)["warnings"][0]


def test_rasters_in_different_units_are_not_trained_on_together(
    own_dataset, points, tmp_path, cheap, write_tiff
):
    with rasterio.open(own_dataset / "images" / "west.tif") as dataset:
        values = dataset.read().astype(np.uint16) * 40
    write_tiff(own_dataset / "images" / "west.tif", values, index=1, nodata=0)
    settings = TrainSettings(data=own_dataset, points=points, output=tmp_path / "m.geoseg", recipe="forest")
    with pytest.raises(PixelValuesError, match=r"west\.tif"):
        train(settings)


def test_the_sample_covers_a_small_raster_and_is_bounded_on_a_large_one():
    small = np.zeros((500, 70), int)
    for window in random_windows(500, 70, 64, most=8):
        small[window.row : window.row + window.height, window.col : window.col + window.width] += 1
    assert (small == 1).all()
    large = list(random_windows(100_000, 30_000, 64, most=8))
    assert [(w.height, w.width) for w in large] == [(64, 64)] * 64
    cells = {(w.row // 12_500, w.col // 3_750) for w in large}
    assert len(cells) == 64
    assert len({w.row for w in large}) == 8


def test_a_frame_that_nobody_declared_is_named_and_declaring_it_leaves_it_out(write_tiff, geoseg, tmp_path):
    values = np.random.default_rng(0).uniform(0.1, 0.3, (2, 96, 96)).astype(np.float32)
    values[0, :, 48:] += 0.5
    values[:, :12] = -9999  # an eighth
    path = write_tiff(tmp_path / "frame.tif", values)
    across = [500000.5 + col for col in (5, 15, 25, 35, 55, 65, 75, 85)]
    frame = gpd.GeoDataFrame(
        {"class": ["a"] * 4 + ["b"] * 4},
        geometry=gpd.points_from_xy(across, [4_000_000 - 50.5] * 8),
        crs="EPSG:32617",
    )
    frame.to_file(tmp_path / "points.gpkg")
    train_command = ("train", path, "--points", tmp_path / "points.gpkg", "--recipe", "forest")
    told = geoseg(*train_command, "-o", tmp_path / "first.geoseg")
    assert "frame.tif: the value -9999 fills about 12.5 % of the raster in all bands" in told.err
    assert "--nodata -9999" in told.err

    declared = geoseg(*train_command, "--nodata", "-9999", "-o", tmp_path / "second.geoseg")
    made = geoseg(
        *(
            "predict",
            tmp_path / "second.geoseg",
            path,
            "-o",
            tmp_path / "map.tif",
            "--nodata",
            "-9999",
            "--json",
        )
    )
    assert (declared.code, made.code) == (0, 0)
    assert "fills" not in declared.err + made.err
    assert json.loads(made.out)["maps"][0]["warnings"] == []
    with rasterio.open(tmp_path / "map.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1) == 255, (values == -9999).all(axis=0))


def test_the_strict_rule_of_the_training_is_that_of_its_maps(model, rewritten, mapped, tmp_path):
    found, strict = read_model(model), tmp_path / "strict.geoseg"
    strict.write_bytes(pack_model(found.network, replace(found.record, strict_nodata=True)))

    def blind(values):
        values[0, 40:44, 40:44] = 300
        return values

    path = rewritten(blind, "float32", nodata=300)
    hole = np.zeros((96, 96), bool)
    hole[40:44, 40:44] = True
    assert not (ids(mapped(path)) == 255).any()
    np.testing.assert_array_equal(ids(mapped(path, model=strict, overwrite=True)) == 255, hole)
    assert not (ids(mapped(path, model=strict, strict_nodata=False, overwrite=True)) == 255).any()
