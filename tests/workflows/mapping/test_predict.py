"""Predict: the map lies on the raster, holds nothing where there is nothing, and replaces no input."""

from __future__ import annotations

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from PIL import Image

from geoseg.errors import GeoSegWarning, OutputError, RasterError, SettingsError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.learning.model_file import read_model
from geoseg.settings import PredictSettings
from geoseg.workflows.mapping.predict import predict

# Noise is mapped here, unlike the landscape that the model learnt.
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*many values lie outside the range"),
    pytest.mark.filterwarnings("ignore:.* has no CRS and no geotransform"),
]


@pytest.fixture
def map_of(model, tmp_path):
    """Predict a raster and return its class ids."""

    def run(raster, name="map.tif", **options):
        path = tmp_path / name
        exact = {"device": "cpu", "precision": "float32"}
        predict(PredictSettings(model=model, rasters=(raster,), output=path, **exact, **options))
        return read_class_map(path)[0]

    return run


def test_the_map_tells_its_classes_and_counts_its_pixels(model, raster, classes, tmp_path):
    path = tmp_path / "map.tif"

    (result,) = predict(PredictSettings(model=model, rasters=(raster,), output=path))

    values, info, legend = read_class_map(path)
    assert legend == classes
    assert info.resolution_m == 1
    assert (result.raster, result.class_map, result.confidence) == (raster, path, None)
    assert result.pixels == {k: int((values == k).sum()) for k in (0, 1, 2, 255) if (values == k).any()}
    assert result.pixels[255] == 12 * 20


def test_nodata_in_nodata_out(map_of, write_tiff, tmp_path):
    image = np.random.default_rng(1).integers(1, 255, (3, 70, 100), np.uint8)
    image[:, 20:30, 40:60] = 0
    image[1, 5, 5] = 0  # one band is enough

    values = map_of(write_tiff(tmp_path / "image.tif", image, nodata=0))

    np.testing.assert_array_equal(values == 255, (image == 0).all(axis=0))


def test_a_raster_without_a_valid_pixel_gives_an_empty_map(map_of, write_tiff, tmp_path):
    empty = write_tiff(tmp_path / "empty.tif", np.zeros((3, 40, 50), np.uint8), nodata=0)

    with pytest.warns(GeoSegWarning, match=r"empty\.tif has no valid pixel, so .*map\.tif is all nodata"):
        assert (map_of(empty) == 255).all()


def test_every_raster_that_cannot_be_mapped_is_named(model, raster, tmp_path):
    (tmp_path / "text.tif").write_text("not an image")
    rasters = (tmp_path / "gone.tif", raster, tmp_path / "text.tif")

    with pytest.raises(
        RasterError, match=r"2 of 3 rasters cannot .*gone\.tif: no such.*text\.tif: this file is not"
    ):
        predict(PredictSettings(model=model, rasters=rasters, output=tmp_path / "maps"))
    assert not list((tmp_path / "maps").glob("*.tif"))


def test_what_is_wrong_with_all_rasters_is_said_once(model, raster, tmp_path):
    (tmp_path / "map.tif").write_text("mine")
    rasters = (raster, raster.with_name("gone.tif"))

    with pytest.raises(
        OutputError, match=r"map\.tif: the output for several maps must be a folder.*such as maps/\.$"
    ):
        predict(PredictSettings(model=model, rasters=(raster, raster), output=tmp_path / "map.tif"))
    with pytest.raises(RasterError, match="2 of 2 rasters"):
        predict(PredictSettings(model=model, rasters=(rasters[1], tmp_path), output=tmp_path / "maps"))


def test_a_raster_of_one_pixel_has_a_map_of_one_pixel(map_of, write_tiff, tmp_path):
    values = map_of(write_tiff(tmp_path / "pixel.tif", np.full((3, 1, 1), 90, np.uint8)))

    assert values.shape == (1, 1)
    assert values[0, 0] < 3


def test_the_map_is_clipped_to_the_area(map_of, raster, tmp_path):
    # Columns 30..60 and rows 40..80 of the raster, whose corner is at x 502,000 and y 4,000,000.
    box = shapely.box(502_030, 4_000_000 - 80, 502_060, 4_000_000 - 40)
    geopandas.GeoDataFrame(geometry=[box], crs="EPSG:32617").to_crs("EPSG:4326").to_file(
        tmp_path / "a.geojson"
    )
    whole = map_of(raster, "whole.tif")

    values = map_of(raster, confidence=tmp_path / "confidence.tif", area=tmp_path / "a.geojson")

    inside = np.zeros((96, 96), np.bool_)
    inside[40:80, 30:60] = True
    np.testing.assert_array_equal(values, np.where(inside, whole, 255))
    with rasterio.open(tmp_path / "confidence.tif") as sure:
        np.testing.assert_array_equal(sure.read_masks(1) > 0, inside)


@pytest.mark.parametrize("pixel_m", [2.0, 0.5])
def test_a_map_computed_at_the_models_resolution_lies_on_the_rasters_grid(
    map_of, write_tiff, tmp_path, pixel_m
):
    image = np.random.default_rng(2).integers(1, 255, (3, 50, 60), np.uint8)
    image[:, 10:20, 10:30] = 0
    raster = write_tiff(tmp_path / "image.tif", image, pixel_m=pixel_m, nodata=0)

    values = map_of(raster, resample=True)

    np.testing.assert_array_equal(values == 255, image[0] == 0)
    with rasterio.open(tmp_path / "map.tif") as made, rasterio.open(raster) as given:
        assert (made.transform, made.crs) == (given.transform, given.crs)


def test_a_finer_raster_computed_at_the_models_resolution_has_the_same_map(
    map_of, dataset, write_tiff, tmp_path
):
    coarse = dataset / "images" / "east.tif"
    with rasterio.open(coarse) as image:
        finer = image.read().repeat(2, axis=1).repeat(2, axis=2)
    fine = write_tiff(tmp_path / "fine.tif", finer, pixel_m=0.5, nodata=0)

    expected, values = map_of(coarse, "1.tif"), map_of(fine, "2.tif", resample=True)

    np.testing.assert_array_equal(values, expected.repeat(2, axis=0).repeat(2, axis=1))


def test_a_raster_without_a_crs_cannot_be_resampled_to_metres(map_of, write_tiff, tmp_path):
    plain = write_tiff(tmp_path / "plain.tif", np.ones((3, 40, 40), np.uint8), crs=None)

    with pytest.raises(RasterError, match=r"plain\.tif.*expected a coordinate reference system; got none"):
        map_of(plain, resample=True)
    assert not (tmp_path / "map.tif").exists()


@pytest.mark.parametrize("kind", ["palette.png", "alpha.png", "photo.jpg"])
def test_plain_pictures_have_maps(map_of, tmp_path, kind):
    colors = np.random.default_rng(3).integers(1, 255, (48, 80, 4), np.uint8)
    colors[..., 3] = 255
    colors[:10, :20, 3] = 0 if kind == "alpha.png" else 255
    picture = Image.fromarray(colors if kind == "alpha.png" else colors[..., :3])
    picture = picture.quantize(16) if kind == "palette.png" else picture
    picture.save(tmp_path / kind)

    values = map_of(tmp_path / kind)

    np.testing.assert_array_equal(values == 255, colors[..., 3] == 0)
    assert set(np.unique(values)) <= {0, 1, 2, 255}


def test_a_palette_means_its_colours(map_of, tmp_path):
    picture = Image.fromarray(np.random.default_rng(3).integers(0, 255, (48, 80, 3), np.uint8)).quantize(16)
    picture.save(tmp_path / "palette.png")
    picture.convert("RGB").save(tmp_path / "colors.png")

    one, other = map_of(tmp_path / "palette.png", "1.tif"), map_of(tmp_path / "colors.png", "2.tif")

    np.testing.assert_array_equal(one, other)


def test_windows_of_any_size_give_much_the_same_map(map_of, dataset):
    east = dataset / "images" / "east.tif"

    small, large = map_of(east, "small.tif", window=64), map_of(east, "large.tif", window=128, batch=2)

    assert set(np.unique(small)) == {0, 1, 2, 255}
    np.testing.assert_array_equal(small == 255, large == 255)
    assert (small == large).mean() > 0.8


def test_several_rasters_go_to_a_folder_and_keep_their_names(model, dataset, tmp_path):
    rasters = tuple(dataset / "images" / f"{name}.tif" for name in ("east", "west"))
    made = {"output": tmp_path / "maps", "confidence": tmp_path / "sure"}

    results = predict(PredictSettings(model=model, rasters=rasters, **made))

    assert [r.class_map for r in results] == [tmp_path / "maps" / f"{n}.tif" for n in ("east", "west")]
    assert [r.confidence for r in results] == [tmp_path / "sure" / f"{n}.tif" for n in ("east", "west")]
    assert all(path.exists() for r in results for path in (r.class_map, r.confidence))


def test_two_rasters_of_one_name_are_refused_before_the_work(model, raster, own_dataset, tmp_path):
    rasters = (raster, own_dataset / "images" / "north.tif")

    with pytest.raises(OutputError, match=r"north\.tif: two outputs would have this name"):
        predict(PredictSettings(model=model, rasters=rasters, output=tmp_path / "maps"))
    assert list((tmp_path / "maps").iterdir()) == []


def test_one_bad_raster_of_several_is_found_before_the_work(model, raster, tmp_path):
    rasters = (raster, tmp_path / "nowhere.tif")

    with pytest.raises(RasterError, match="no such file"):
        predict(PredictSettings(model=model, rasters=rasters, output=tmp_path / "maps"))
    assert list((tmp_path / "maps").iterdir()) == []


@pytest.mark.parametrize("victim", ["raster", "model", "area"])
def test_an_input_is_never_replaced_even_with_overwrite(model, raster, tmp_path, victim):
    inputs = {"raster": tmp_path / "a.tif", "model": tmp_path / "m.geoseg", "area": tmp_path / "p.geojson"}
    inputs["raster"].write_bytes(raster.read_bytes())
    inputs["model"].write_bytes(model.read_bytes())
    inputs["area"].write_text("{}")
    before = inputs[victim].read_bytes()

    with pytest.raises(OutputError, match="another output"):
        predict(
            PredictSettings(
                model=inputs["model"],
                rasters=(inputs["raster"],),
                area=inputs["area"],
                output=inputs[victim],
                overwrite=True,
            )
        )
    assert inputs[victim].read_bytes() == before


def test_map_and_confidence_need_two_names(model, raster, tmp_path):
    path = tmp_path / "map.tif"

    with pytest.raises(OutputError, match="two outputs would have this name"):
        predict(PredictSettings(model=model, rasters=(raster,), output=path, confidence=path))


@pytest.mark.parametrize("size", [10, 700])
def test_a_disk_that_fills_up_leaves_nothing(model, raster, tmp_path, full_disk, size):
    made = {"output": tmp_path / "map.tif", "confidence": tmp_path / "confidence.tif"}

    with (
        full_disk(size),
        pytest.raises(OutputError, match="could not be written and was removed"),
    ):
        predict(PredictSettings(model=model, rasters=(raster,), **made))
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_fills_up_leaves_the_old_map(model, raster, tmp_path, full_disk):
    path = tmp_path / "map.tif"
    predict(PredictSettings(model=model, rasters=(raster,), output=path))
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}

    with full_disk(700), pytest.raises(OutputError, match=r"map\.tif.*the file could not be written"):
        predict(PredictSettings(model=model, rasters=(raster,), output=path, overwrite=True))
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


class Impatient:
    """Progress whose watcher presses Ctrl-C at the first step."""

    def start(self, what, total):
        pass

    def advance(self, steps=1, note=""):
        raise KeyboardInterrupt

    def say(self, text):
        pass

    warn = say


def test_ctrl_c_leaves_nothing_half_written(model, raster, tmp_path):
    made = {"output": tmp_path / "map.tif", "confidence": tmp_path / "confidence.tif"}

    with pytest.raises(KeyboardInterrupt):
        predict(PredictSettings(model=model, rasters=(raster,), **made), Impatient())
    assert list(tmp_path.iterdir()) == []


def test_a_model_takes_only_the_bands_it_was_trained_on(map_of, model, write_tiff, tmp_path):
    image = np.random.default_rng(5).integers(1, 255, (4, 40, 40), np.uint8)
    assert read_model(model).record.bands == (1, 2, 3)

    four = map_of(write_tiff(tmp_path / "four.tif", image), "four-map.tif")
    three = map_of(write_tiff(tmp_path / "three.tif", image[:3]), "three-map.tif")

    np.testing.assert_array_equal(four, three)


def test_another_output_stride_is_refused_where_the_backbone_has_one(map_of, raster):
    assert (map_of(raster, "own.tif") == map_of(raster, "same.tif", output_stride=16)).all()
    with pytest.raises(SettingsError, match="expected 16, the only output stride of mobilenet_v3_large"):
        map_of(raster, output_stride=8)
