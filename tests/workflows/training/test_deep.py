"""The calibration of networks that were fine-tuned."""

from __future__ import annotations

import numpy as np
import pytest
from tests.workflows.watching import Watcher

from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.model_file import read_record
from geoseg.networks.models.deeplab import Architecture
from geoseg.settings import SampleSettings, TrainSettings
from geoseg.workflows.sample import sample
from geoseg.workflows.training.deep import with_temperature
from geoseg.workflows.training.job import Trained
from geoseg.workflows.training.train import train

MANY = 10_000
DEEP = {"recipe": "deep", "epochs": 1, "patches": 4, "batch": 2}


def test_the_temperature_is_that_of_the_network_as_it_is_now_and_the_shift_stays():
    # Three of four points are right. At a temperature of 2 the margin of 2 ln 3 says so: 1 / (1 + exp(-ln 3)) = 3/4.
    margin = 2 * np.log(3)
    logits = np.array([[margin, 0], [margin, 0], [0, margin], [margin, 0]] * MANY)
    held_out = HeldOut(logits, np.array([0, 0, 1, 1] * MANY), np.ones(4 * MANY))
    architecture = Architecture("resnet50", 3, 2)
    before = Trained("deep", {}, architecture, Calibration(0.5, (0.25, -0.25)), "", {})

    after = with_temperature(before, held_out)

    assert after.calibration.temperature == pytest.approx(2, rel=1e-3)
    assert after.calibration.shift == (0.25, -0.25)
    assert after.training["temperature_from"] == "held-out points"


@pytest.fixture
def settings(dataset, points, cheap, tmp_path):
    def make(**options):
        own = {"data": dataset, "points": points, "output": tmp_path / "m.geoseg"}
        return TrainSettings(**{**cheap, **own, **DEEP, **options})

    return make


@pytest.mark.slow
def test_deep_is_calibrated_by_points_of_places_that_did_not_teach_it(settings, dataset, tmp_path):
    many = sample(
        SampleSettings(data=dataset, output=tmp_path / "p.gpkg", split="train", per_class=40)
    ).output
    quick = train(settings(points=many, recipe="quick")).record
    deep = train(settings(points=many, output=tmp_path / "d.geoseg")).record

    assert deep.training["temperature_from"] == "held-out points"
    assert 30 <= deep.training["points_calibrating"] < deep.training["points_total"]
    assert deep.calibration.temperature != quick.calibration.temperature
    assert deep.calibration.shift == quick.calibration.shift


def test_deep_with_too_few_points_to_calibrate_by_says_so(settings):
    watcher = Watcher()
    result = train(settings(), watcher)
    assert read_record(result.model).training["temperature_from"] == "quick"
    assert any(text.startswith("Fewer than 30 points can be held out to calibrate") for text in watcher.said)


def test_check_points_calibrate_deep_where_there_are_any(settings, dataset, tmp_path):
    path = tmp_path / "check.gpkg"
    # Another seed than that of the training points: check points that share their pixels are left out.
    sample(SampleSettings(data=dataset, output=path, split="train", per_class=5, seed=7))
    record = train(settings(check_points=path)).record
    assert record.training["points_calibrating"] == record.training["points_held_out"] > 0
