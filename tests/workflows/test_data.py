"""Fetching LandCover.ai, from a zip of the same layout, and working with its tile lists."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from geoseg.domain.ports import Silence
from geoseg.errors import DatasetError
from geoseg.geodata.landcover_ai import Published
from geoseg.settings import EvaluateSettings, LandCoverSettings, SampleSettings, TrainSettings
from geoseg.workflows.data import fetch, landcover_ai
from geoseg.workflows.evaluate import evaluate
from geoseg.workflows.sample import sample
from geoseg.workflows.train import train


@pytest.fixture(scope="module")
def archive(tmp_path_factory, write_tiff):
    """A zip of one orthophoto with tiles in two splits."""
    folder = tmp_path_factory.mktemp("landcover")
    rng = np.random.default_rng(0)
    mask = np.zeros((520, 1030), np.uint8)
    mask[200:, :] = 2
    pixels = (
        np.array([[[160]], [[150]], [[90]]]) - 60 * (mask == 2) + rng.integers(0, 30, (3, 520, 1030))
    ).astype(np.uint8)
    write_tiff(folder / "in" / "images" / "M-1.tif", pixels, crs="EPSG:2180", pixel_m=0.25)
    write_tiff(folder / "in" / "masks" / "M-1.tif", mask, crs="EPSG:2180", pixel_m=0.25)
    (folder / "in" / "train.txt").write_text("M-1_0\n")
    (folder / "in" / "test.txt").write_text("M-1_1\n")
    path = shutil.make_archive(str(folder / "landcover"), "zip", folder / "in")
    digest = hashlib.sha256((folder / "landcover.zip").read_bytes()).hexdigest()
    return folder / "landcover.zip", Published(digest, {0.25: 1}, {"train": 1, "test": 1}), path


@pytest.fixture
def data(archive, tmp_path):
    fetch(LandCoverSettings(output=tmp_path / "data", archive=archive[0]), archive[1], Silence())
    return tmp_path / "data"


def test_points_and_scores_keep_to_the_tiles_of_their_split(data, cheap, tmp_path):
    points = tmp_path / "points.gpkg"
    drawn = sample(SampleSettings(data=data, split="train", per_class=20, output=points)).points
    assert drawn.col.max() < 512
    assert drawn.row.max() < 512

    model = tmp_path / "m.geoseg"
    train(TrainSettings(data=data, points=points, output=model, **{**cheap, "recipe": "forest"}))
    scores = evaluate(EvaluateSettings(subject=model, data=data)).accuracy
    assert scores.confusion.sum() == 512 * 512
    assert scores.iou[2] > 0.9


def test_a_folder_that_is_there_is_only_checked(data, archive):
    again = fetch(LandCoverSettings(output=data), archive[1], Silence())
    assert again.images == 1


def test_another_archive_is_refused(archive, tmp_path):
    with pytest.raises(DatasetError, match="another checksum"):
        landcover_ai(LandCoverSettings(output=tmp_path / "data", archive=archive[0]))
    with pytest.raises(DatasetError, match="no such archive"):
        landcover_ai(LandCoverSettings(output=tmp_path / "data", archive=tmp_path / "no.zip"))
    assert not (tmp_path / "data").exists()
    assert archive[0].exists()


def test_the_command_names_a_server_that_is_not_there(geoseg, tmp_path):
    outcome = geoseg("data", "landcover-ai", tmp_path / "data", "--url", "http://127.0.0.1:9/x.zip")
    assert outcome.code > 0
    assert "http://127.0.0.1:9/x.zip: the download broke off" in outcome.err
