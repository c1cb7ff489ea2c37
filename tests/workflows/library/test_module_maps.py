"""Rasters mapped with anybody's torch module or function."""

import numpy as np
import pytest
import rasterio
import torch
from torch import nn

import geoseg
from geoseg import SettingsError, predict_raster
from geoseg.domain.ports import NullProgress
from geoseg.geodata.outputs.strips import StripStore
from geoseg.geodata.reading.rasters import open_raster
from geoseg.learning.features.context import measure_context_anywhere
from geoseg.networks.prediction.module_predictor import ModulePredictor


def darkness(images):
    """Logits of three classes by how near the red band is to 200, 120 and 40."""
    centres = torch.tensor([200.0, 120.0, 40.0]).view(1, 3, 1, 1)
    return -((images[:, :1] - centres) ** 2) / 100


def _expected(path):
    with rasterio.open(path) as opened:
        red, valid = opened.read(1), opened.dataset_mask() > 0
    nearest = np.abs(red[None].astype(float) - np.array([200, 120, 40])[:, None, None]).argmin(axis=0)
    return np.where(valid, nearest, 255)


def test_a_function_maps_a_raster_pixel_by_pixel(raster, tmp_path):
    names = ["bright", "middle", "dark"]

    made = predict_raster(darkness, raster, tmp_path / "map.tif", legend=names, context=0)

    with rasterio.open(made.class_map) as written, rasterio.open(raster) as given:
        np.testing.assert_array_equal(written.read(1), _expected(raster))
        assert (written.crs, written.transform, written.nodata) == (given.crs, given.transform, 255)
        assert written.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
    assert [area["name"] for area in made.areas[:3]] == names
    assert geoseg.info(made.class_map)["classes"] == names
    assert sorted(path.name for path in tmp_path.iterdir()) == ["map.qml", "map.tif", "map.tif.aux.xml"]


def test_confidence_and_probabilities_are_written_too(raster, tmp_path):
    made = predict_raster(
        darkness,
        raster,
        tmp_path / "map.tif",
        context=32,
        confidence=tmp_path / "confidence.tif",
        also=["probabilities", "areas"],
    )

    with rasterio.open(made.files["probabilities"]) as shares, rasterio.open(made.confidence) as confidence:
        assert shares.count == 3
        np.testing.assert_array_equal(shares.read().max(axis=0), confidence.read(1))
    assert {"class_map", "confidence", "probabilities", "areas", "areas_csv", "style"} <= set(made.files)


class Blur(nn.Module):
    """Two classes by a mean over 9 px; its batch norm must not learn, nor its logits be full size."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1, affine=False)
        self.norm.running_mean.fill_(100.0)
        self.norm.running_var.fill_(100.0)
        self.mean = nn.AvgPool2d(9, 2, 4, count_include_pad=False)

    def forward(self, images):
        return {"out": self.mean(self.norm(images[:, :1]))}


def test_a_module_keeps_its_mode_and_statistics_and_gives_the_same_in_windows_of_any_size(
    write_tiff, tmp_path
):
    rng = np.random.default_rng(0)
    path = write_tiff(tmp_path / "wide.tif", rng.integers(60, 140, (1, 224, 224)).astype(np.uint8))
    module = Blur().train()

    one = predict_raster(module, path, tmp_path / "one.tif", context=64, window=2048)
    many = predict_raster(module, path, tmp_path / "many.tif", context=64, window=64)

    with rasterio.open(one.class_map) as first, rasterio.open(many.class_map) as second:
        np.testing.assert_array_equal(first.read(1), second.read(1))
    assert module.training
    assert module.norm.running_mean.item() == 100


def test_the_context_that_a_module_needs_is_measured(raster):
    def wide(images):
        return torch.nn.functional.avg_pool2d(images[:, :1], 97, 1, 48, count_include_pad=False) / 20 - 4

    with open_raster(raster) as source:
        near = ModulePredictor(darkness, 3)
        far = ModulePredictor(wide, 3)
        assert measure_context_anywhere(near, source, most_px=128) == 32
        assert measure_context_anywhere(far, source, most_px=128) == 64


class Stopping(NullProgress):
    """Progress that stops at a window, as Ctrl+C does."""

    def __init__(self, after):
        self.left = after

    def advance(self, steps=1, note=""):
        self.left -= steps
        if self.left < 0:
            raise KeyboardInterrupt


class Counting(nn.Module):
    """Two classes; counts how many windows it is asked for."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.windows = 0

    def forward(self, images):
        self.windows += len(images)
        return (images[:, :1] - 100) * self.weight


def test_a_stopped_map_continues_only_with_the_same_module(write_tiff, tmp_path):
    path = write_tiff(tmp_path / "tall.tif", np.full((1, 512, 64), 120, np.uint8))
    out = tmp_path / "map.tif"
    with pytest.raises(geoseg.StoppedError, match="strips"):
        predict_raster(Counting(), path, out, context=32, window=64, progress=Stopping(5))
    assert StripStore(out).path.exists()
    other = Counting()
    with torch.no_grad():
        other.weight.fill_(2)
    with pytest.raises(geoseg.OutputError, match=r"unfinished map .* overwrite=True"):
        predict_raster(other, path, out, context=32, window=64)

    again, whole = Counting(), Counting()
    predict_raster(again, path, out, context=32, window=64)
    predict_raster(whole, path, tmp_path / "whole.tif", context=32, window=64)

    assert again.windows < whole.windows
    assert out.exists()
    assert not StripStore(out).path.exists()


def test_a_function_without_a_version_starts_anew(write_tiff, tmp_path):
    path = write_tiff(tmp_path / "tall.tif", np.full((1, 512, 64), 120, np.uint8))
    out = tmp_path / "map.tif"
    with pytest.raises(geoseg.StoppedError):
        predict_raster(lambda x: x - 100, path, out, context=32, window=64, progress=Stopping(5))

    made = predict_raster(lambda x: x - 200, path, out, context=32, window=64)

    assert made.pixels == {0: 512 * 64}


def test_what_prepare_gives_is_what_the_module_sees(write_tiff, tmp_path):
    path = write_tiff(tmp_path / "a.tif", np.full((1, 64, 64), 120, np.uint8))

    made = predict_raster(
        lambda x: x, path, tmp_path / "map.tif", prepare=lambda x: (x - 130) / 10, context=32
    )

    assert made.pixels == {0: 64 * 64}


def test_a_fitted_segmenter_maps_files_of_any_size(fitted, raster, tmp_path):
    made = predict_raster(fitted, raster, tmp_path / "map.tif", confidence=tmp_path / "c.tif")

    with rasterio.open(made.class_map) as written:
        np.testing.assert_array_equal(written.read(1), fitted.predict(raster))
    with pytest.raises(SettingsError, match=r"^legend: a PointSegmenter has its own"):
        predict_raster(fitted, raster, tmp_path / "other.tif", legend=["a", "b", "c"])
    with pytest.raises(geoseg.NotFittedError):
        predict_raster(geoseg.PointSegmenter(), raster, tmp_path / "other.tif")


def test_wrong_modules_and_arguments_are_named(raster, tmp_path):
    def attempt(module, message, **options):
        with pytest.raises(SettingsError, match=message):
            predict_raster(module, raster, tmp_path / "map.tif", **{"context": 32, **options})

    attempt(lambda x: x.mean(), r"^module: .* expected shape \(1, C, H, W\)")
    attempt(lambda x: "no", r"^module: .* got str\.$")
    attempt(darkness, r"^legend: .* expected 3 classes; got 2\.$", legend=["a", "b"])
    attempt(darkness, r"^window: .* got 3\.$", window=3)
    attempt(darkness, r"^device: this device is not available; got warp\.$", device="warp")
    assert not (tmp_path / "map.tif").exists()


def test_a_file_that_is_there_is_kept_unless_it_may_be_replaced(raster, tmp_path):
    predict_raster(darkness, raster, tmp_path / "map.tif", context=32)

    with pytest.raises(geoseg.OutputError, match="overwrite=True"):
        predict_raster(darkness, raster, tmp_path / "map.tif", context=32)
    predict_raster(darkness, raster, tmp_path / "map.tif", context=32, overwrite=True)
