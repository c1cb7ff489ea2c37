"""What a training is made from: of all labels of the masks, those on pixels that are there."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
import rasterio

from geoseg.domain.ports import NullProgress
from geoseg.errors import PointsError
from geoseg.settings import TrainSettings
from geoseg.workflows.training.training_data import load_training_data


class Warned(NullProgress):
    def __init__(self):
        self.texts = []

    def warn(self, text):
        self.texts.append(text)


def _gathered(data, tmp_path, progress=None):
    settings = TrainSettings(data=data, output=tmp_path / "m.geoseg", recipe="full", patch=64)
    with ExitStack() as stack:
        return load_training_data(settings, stack, progress or NullProgress(), check_share=0.0).data.points


def _empty(data, name, rows):
    """Turn the first rows of an image into nodata; its mask keeps its labels."""
    with rasterio.open(data / "images" / f"{name}.tif", "r+") as image:
        pixels = image.read()
        pixels[:, :rows] = 0
        image.write(pixels)


def test_full_supervision_takes_every_fourth_label(own_dataset, tmp_path):
    progress = Warned()
    points = _gathered(own_dataset, tmp_path, progress)

    # Two images of 96 x 96 px with a hole of 12 x 20 px.
    assert len(points) == 2 * (48 * 48 - 6 * 10)
    assert progress.texts == []
    with rasterio.open(own_dataset / "masks" / "east.tif") as mask:
        truth = mask.read(1)
    own = points.on_image("east")
    assert np.array_equal(truth[own.row.astype(int), own.col.astype(int)], own.class_id)


def test_full_supervision_of_rows_that_alternate_sees_both_classes(own_dataset, tmp_path):
    for name in ("east", "west"):
        with rasterio.open(own_dataset / "masks" / f"{name}.tif", "r+") as mask:
            mask.write(np.tile(np.arange(96) % 2, (96, 1)).T.astype(np.uint8), 1)
    counts = _gathered(own_dataset, tmp_path).counts(2)
    assert counts.min() / counts.sum() > 0.47


def test_labels_on_nodata_are_dropped_and_told_of(own_dataset, tmp_path):
    _empty(own_dataset, "east", rows=40)
    progress = Warned()

    points = _gathered(own_dataset, tmp_path, progress)

    assert points.on_image("east").row.min() == 40
    assert len(points.on_image("east")) == 28 * 48
    assert len(points.on_image("west")) == 48 * 48 - 6 * 10
    assert progress.texts == ["Dropped 900 of 4488 points: 900 on nodata."]


def test_images_without_a_valid_label_are_refused(own_dataset, tmp_path):
    for name in ("east", "west"):
        _empty(own_dataset, name, rows=96)

    with pytest.raises(PointsError, match=r"--recipe full: no usable label; got Dropped 4488 of 4488"):
        _gathered(own_dataset, tmp_path)
