"""Experiment on folders of other kinds, by every protocol, and on data that cannot be used."""

from __future__ import annotations

import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from geoseg.errors import DatasetError, LegendError, RasterError
from geoseg.geodata.points.point_files import read_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.settings import ExperimentSettings, Protocol, SampleSettings, TrainingOptions
from geoseg.workflows.experiment.run import experiment
from geoseg.workflows.sample import sample

# Few points, and rasters as people have them: these warnings are not the subject.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*is not declared"),
    pytest.mark.filterwarnings("ignore:The forest has"),
    pytest.mark.filterwarnings("ignore:.* has no CRS and no geotransform"),
    pytest.mark.filterwarnings("ignore:Dropped .* on nodata"),
]


def _settings(data, light, folder, **options):
    own = {"recipes": ("forest",), "per_class": (4,), "seeds": 1}
    return ExperimentSettings(data=data, output=folder, training=TrainingOptions(**light), **(own | options))


def _fill(path, value):
    """Write one value everywhere into a raster that is there."""
    with rasterio.open(path, "r+") as raster:
        raster.write(np.full((raster.count, raster.height, raster.width), value, np.uint8))


def _result(folder):
    (path,) = (folder / "runs").iterdir()
    return json.loads(path.read_text())


# Folders of pictures


def _as_pictures(data, suffix):
    """Turn a dataset's images into pictures without a CRS, its masks into PNGs."""
    for kind, own in (("images", suffix), ("masks", ".png")):
        for path in list((data / kind).glob("*.tif")):
            with rasterio.open(path) as raster:
                values = np.moveaxis(raster.read(), 0, -1).squeeze()
            Image.fromarray(values).save(path.with_suffix(own))
            path.unlink()


@pytest.mark.slow
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_folder_of_pictures_is_experimented_on_like_any_other(own_dataset, light, tmp_path, suffix):
    _as_pictures(own_dataset, suffix)
    names = {path.name for path in (own_dataset / "images").iterdir()}
    assert names == {f"{name}{suffix}" for name in ("east", "west", "north")}

    summary = experiment(_settings(own_dataset, light, tmp_path / "r", protocol=Protocol(scope="image")))

    (entry,) = summary.record["results"]
    assert (entry["points_per_image"], entry["points_total"]) == (12, 24)
    assert entry["miou"] > 0.8
    result = _result(tmp_path / "r")
    # What the mask labels of the one test image, all of it mapped.
    assert (result["pixels"], sum(result["unmapped"])) == (96 * 96 - 12 * 20, 0)
    class_map = describe_raster(tmp_path / "r" / "maps" / "forest-4-seed0" / "north.tif")
    assert (class_map.height, class_map.width, class_map.crs) == (96, 96, None)
    assert (tmp_path / "r" / "comparison-4.png").exists()


# Protocols


@pytest.mark.slow
def test_every_run_learns_from_what_its_protocol_draws(own_dataset, light, tmp_path, classes):
    protocol = Protocol(scope="image", places="interior", margin=2, location_error=2, wrong_share=0.25)

    experiment(_settings(own_dataset, light, tmp_path / "r", protocol=protocol))

    again = sample(
        SampleSettings(
            **protocol.model_dump(),
            data=own_dataset,
            output=tmp_path / "points.gpkg",
            split="train",
            per_class=4,
            seed=0,
        )
    )
    infos = {n: describe_raster(own_dataset / "images" / f"{n}.tif") for n in ("east", "west")}
    stored = read_points(tmp_path / "r" / "points" / "4-seed0.gpkg", infos, legend=classes).points
    assert stored.digest() == again.points.digest() == _result(tmp_path / "r")["drawn_sha256"]
    text = (tmp_path / "r" / "summary.md").read_text()
    assert '"places": "interior"' in text
    assert '"wrong_share": 0.25' in text
    assert stored.digest() in text


# Data that cannot be used


@pytest.mark.parametrize("name", ["east", "north"])
def test_an_image_that_is_all_nodata_is_named_before_anything_runs(own_dataset, light, tmp_path, name):
    """One to train on, one to score on."""
    _fill(own_dataset / "images" / f"{name}.tif", 0)

    with pytest.raises(
        RasterError, match=rf"{name}\.tif: the image is all nodata\. Remove it from the split lists"
    ):
        experiment(_settings(own_dataset, light, tmp_path / "r"))
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_an_image_that_is_all_nodata_but_for_its_last_row_is_used(own_dataset, light, tmp_path, write_tiff):
    """Pixels that are not there take their labels with them: no point on them is used, none of them is mapped."""
    for name in ("east", "north"):
        path = own_dataset / "images" / f"{name}.tif"
        with rasterio.open(path, "r+") as raster:
            values = raster.read()
            values[:, :-1] = 0
            raster.write(values)

    experiment(_settings(own_dataset, light, tmp_path / "r", per_class=(40,)))

    result = _result(tmp_path / "r")
    assert result["points_used"] < 2 * 3 * 40
    assert result["points_used"] >= 3 * 40
    # All the labels of the test image count, those of its nodata as missed.
    assert result["pixels"] == 96 * 96 - 12 * 20
    assert sum(result["unmapped"]) == result["pixels"] - 96


def test_masks_to_score_by_that_label_nothing_are_named_before_anything_runs(own_dataset, light, tmp_path):
    (own_dataset / "test.txt").write_text("north\nwest\n")
    for name in ("north", "west"):
        _fill(own_dataset / "masks" / f"{name}.tif", 255)

    with pytest.raises(
        DatasetError, match=r"masks: the test masks have no labelled pixel; got 255 in north, west"
    ):
        experiment(_settings(own_dataset, light, tmp_path / "r"))
    assert not (tmp_path / "r").exists()


@pytest.mark.slow
def test_one_of_several_test_images_may_be_without_labels(own_dataset, light, tmp_path):
    (own_dataset / "test.txt").write_text("north\nwest\n")
    _fill(own_dataset / "masks" / "north.tif", 255)

    summary = experiment(_settings(own_dataset, light, tmp_path / "r"))

    assert _result(tmp_path / "r")["images"]["north"]["miou"] is None
    (entry,) = summary.record["results"]
    assert entry["miou"] == _result(tmp_path / "r")["images"]["west"]["miou"]


def test_training_masks_that_label_nothing_can_be_mended_and_the_experiment_goes_on(
    own_dataset, light, tmp_path
):
    kept = {name: (own_dataset / "masks" / f"{name}.tif").read_bytes() for name in ("east", "west")}
    for name in kept:
        _fill(own_dataset / "masks" / f"{name}.tif", 255)
    settings = _settings(own_dataset, light, tmp_path / "r")
    with pytest.raises(
        DatasetError, match=r"masks: the training masks have no labelled pixel; got 255 in east, west"
    ):
        experiment(settings)
    assert not (tmp_path / "r").exists()

    for name, content in kept.items():
        (own_dataset / "masks" / f"{name}.tif").write_bytes(content)
    assert experiment(settings).record["results"][0]["points_total"] == 24


def test_training_masks_that_cannot_be_used_are_named_and_nothing_is_trained(
    own_dataset, light, tmp_path, write_tiff
):
    mask = write_tiff(own_dataset / "masks" / "east.tif", np.zeros((95, 96), np.uint8))
    with pytest.raises(RasterError, match=r"east\.tif: wrong size; expected 96 x 96 px"):
        experiment(_settings(own_dataset, light, tmp_path / "r"))
    write_tiff(mask, np.full((96, 96), 7, np.uint8))
    with pytest.raises(LegendError, match=r"east\.tif: .*got 7 \(9,216 pixels\)"):
        experiment(_settings(own_dataset, light, tmp_path / "r"))
    assert not (tmp_path / "r").exists()
