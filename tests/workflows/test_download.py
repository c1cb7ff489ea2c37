"""Fetching LandCover.ai, from a zip of the same layout, and working with its tile lists."""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from geoseg.domain.ports import NullProgress
from geoseg.errors import DatasetError, OutputError
from geoseg.geodata.datasets.landcover_ai import Published
from geoseg.settings import (
    EvaluateSettings,
    ExperimentSettings,
    LandCoverSettings,
    Protocol,
    SampleSettings,
    TrainingOptions,
    TrainSettings,
)
from geoseg.workflows.assessment.evaluate import evaluate
from geoseg.workflows.download import fetch, landcover_ai
from geoseg.workflows.experiment.run import experiment
from geoseg.workflows.sample import sample
from geoseg.workflows.training.train import train

# Tiny tiles and few points: these warnings are not the subject.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Class .* has fewer than"),
    pytest.mark.filterwarnings("ignore:The area of these masks contains"),
    pytest.mark.filterwarnings("ignore:The forest has"),
]


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
    return folder / "landcover.zip", Published(digest, {0.25: 1}, {"train": 1, "test": 1}, 0.033475), path


@pytest.fixture
def data(archive, tmp_path):
    fetch(LandCoverSettings(output=tmp_path / "data", archive=archive[0]), archive[1], NullProgress())
    return tmp_path / "data"


@pytest.mark.slow
def test_points_and_scores_keep_to_the_tiles_of_their_split(data, light, tmp_path):
    points = tmp_path / "points.gpkg"
    drawn = sample(SampleSettings(data=data, split="train", per_class=20, output=points)).points
    assert drawn.col.max() < 512
    assert drawn.row.max() < 512

    model = tmp_path / "m.geoseg"
    train(TrainSettings(data=data, points=points, output=model, **{**light, "recipe": "forest"}))
    scores = evaluate(EvaluateSettings(subject=model, data=data)).accuracy
    assert scores.confusion.sum() == 512 * 512
    assert scores.iou[2] > 0.9


@pytest.mark.slow
def test_an_experiment_keeps_to_the_tiles_of_its_lists(data, light, tmp_path):
    """One orthophoto, one tile of it to train on, its neighbour to score on."""
    settings = ExperimentSettings(
        data=data,
        output=tmp_path / "r",
        recipes=("forest",),
        per_class=(6,),
        seeds=1,
        protocol=Protocol(scope="tile", tile=512),
        training=TrainingOptions(**light),
    )

    (entry,) = experiment(settings).record["results"]

    # Six points of each of the two classes in the tile; 512 x 512 px are scored.
    assert (entry["points_per_image"], entry["points_total"]) == (12, 12)
    result = json.loads((tmp_path / "r" / "runs" / "forest-6-seed0.json").read_text())
    assert result["pixels"] == 512 * 512
    assert entry["iou"]["woodland"] > 0.9
    assert entry["iou"]["water"] is None
    assert entry["miou_without_background"] == entry["iou"]["woodland"]
    assert json.loads((tmp_path / "r" / "experiment.json").read_text())["train_images"][0].startswith(
        "M-1 (1 t"
    )

    (data / "train.txt").write_text("M-1_1\n")
    with pytest.raises(OutputError, match="differ in train_images"):
        experiment(settings)


def test_a_folder_that_is_there_is_only_checked(data, archive):
    again = fetch(LandCoverSettings(output=data), archive[1], NullProgress())
    assert again.images == 1
    assert again.area_km2 == pytest.approx(520 * 1030 * 0.25**2 / 1e6)

    with pytest.raises(
        DatasetError,
        match=r"images: the folder differs from the published LandCover\.ai v1; expected 0\.04 km2",
    ):
        fetch(LandCoverSettings(output=data), replace(archive[1], area_km2=0.04), NullProgress())


def test_another_archive_is_refused(archive, tmp_path):
    with pytest.raises(DatasetError, match="the wrong checksum"):
        landcover_ai(LandCoverSettings(output=tmp_path / "data", archive=archive[0]))
    with pytest.raises(DatasetError, match="archive not found"):
        landcover_ai(LandCoverSettings(output=tmp_path / "data", archive=tmp_path / "no.zip"))
    assert not (tmp_path / "data").exists()
    assert archive[0].exists()


def test_the_command_names_a_server_that_is_not_there(geoseg, tmp_path):
    outcome = geoseg("data", "landcover-ai", tmp_path / "data", "--url", "http://127.0.0.1:9/x.zip")
    assert outcome.code > 0
    assert "http://127.0.0.1:9/x.zip: the download broke off" in outcome.err
