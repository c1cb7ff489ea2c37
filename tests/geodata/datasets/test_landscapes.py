"""Invented landscapes on disk are a dataset like any other."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from geoseg.domain.landscape.composition import LANDSCAPE_CLASSES, generate_landscape
from geoseg.domain.landscape.day import choose_day
from geoseg.domain.ports import NullProgress
from geoseg.errors import OutputError
from geoseg.geodata.datasets.folders import open_dataset
from geoseg.geodata.datasets.landscapes import landscape_legend, write_landscapes
from geoseg.geodata.reading.masks import read_mask
from geoseg.geodata.reading.rasters import describe_raster


class Count(NullProgress):
    def __init__(self):
        self.total, self.done = 0, 0

    def start(self, what, total):
        self.total = total

    def advance(self, steps=1, note=""):
        self.done += steps


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder, progress = tmp_path_factory.mktemp("landscapes") / "data", Count()
    write_landscapes(folder, {"train": [7, 8], "test": [9]}, size=64, resolution_m=0.5, progress=progress)
    assert (progress.total, progress.done) == (3, 3)
    return folder


def test_the_folder_is_a_dataset_with_its_splits_and_legend(written):
    assert list(open_dataset(written, split="train", masks_needed=True).images) == ["scene-7", "scene-8"]
    dataset = open_dataset(written, split="test", masks_needed=True)
    assert list(dataset.images) == ["scene-9"]
    assert dataset.legend == landscape_legend()


def test_the_legend_has_the_classes_of_the_landscape():
    assert [(c.name, c.color) for c in landscape_legend().classes] == list(LANDSCAPE_CLASSES)


def test_image_and_mask_are_those_of_the_seed_on_the_day_of_the_first(written):
    scene = generate_landscape(8, 64, 64, 0.5, day=choose_day(np.random.default_rng(7)))

    with rasterio.open(written / "images" / "scene-8.tif") as image:
        np.testing.assert_array_equal(image.read(), scene.image)
    np.testing.assert_array_equal(
        read_mask(written / "masks" / "scene-8.tif", landscape_legend()), scene.mask
    )


def test_scenes_have_a_real_crs_and_pixels_of_the_size_asked_for(written):
    for seed in (7, 8, 9):
        image = describe_raster(written / "images" / f"scene-{seed}.tif")
        mask = describe_raster(written / "masks" / f"scene-{seed}.tif")
        assert (image.height, image.width, image.bands, image.dtype) == (64, 64, 3, "uint8")
        assert "UTM zone 32N" in image.crs
        assert image.resolution_m == 0.5
        assert (mask.crs, mask.transform, mask.nodata) == (image.crs, image.transform, 255)


def test_scenes_lie_apart_on_the_ground(written):
    west = [describe_raster(written / "images" / f"scene-{seed}.tif").transform[2] for seed in (7, 8, 9)]

    assert np.diff(west).tolist() == [10_000, 10_000]


def test_a_folder_below_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="this folder is not writable"):
        write_landscapes(
            tmp_path / "file" / "data", {"train": [1]}, size=64, resolution_m=1, progress=NullProgress()
        )
