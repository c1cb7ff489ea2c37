"""The prior of a raster, on request."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from geoseg.errors import SettingsError, StoppedError
from geoseg.geodata.outputs.class_maps import read_class_map
from geoseg.geodata.reading.rasters import open_raster
from geoseg.learning.calibration import Calibration
from geoseg.learning.model_file import pack_model, read_model, read_record
from geoseg.settings import PredictSettings, TrainSettings
from geoseg.workflows.mapping.predict import predict
from geoseg.workflows.mapping.raster_prior import estimate_raster_prior
from geoseg.workflows.training.train import train


class Watcher:
    """Remembers what is said, and stops after so many windows."""

    def __init__(self, windows: int = -1) -> None:
        self.said, self.left = list[str](), windows

    def start(self, what: str, total: int) -> None: ...

    def advance(self, steps: int = 1, note: str = "") -> None:
        self.left -= steps
        if self.left == 0:
            raise KeyboardInterrupt

    def say(self, text: str) -> None:
        self.said.append(text)

    warn = say


@pytest.fixture(scope="module")
def quick(dataset, points, light, tmp_path_factory):
    """A quick model with a corrected prior."""
    output = tmp_path_factory.mktemp("quick") / "m.geoseg"
    own = {"data": dataset, "points": points, "output": output, "recipe": "quick", "keep_features": False}
    return train(TrainSettings(**{**light, **own})).model


def _settings(model, raster, output, **options):
    exact = {"device": "cpu", "precision": "float32", "window": 64}
    return PredictSettings(model=model, rasters=(raster,), output=output, **{**exact, **options})


class Undecided:
    """Says the same of every pixel."""

    classes = 3

    def __init__(self, probabilities):
        self.answer = np.array(probabilities, np.float32)[None, :, None, None]

    def probabilities(self, pixels, valid):
        return np.broadcast_to(self.answer, (1, 3, *pixels.shape[-2:]))


def test_the_odds_are_those_of_the_shares_on_the_raster(dataset, model):
    """Evidence for one class alone on every pixel: it covers all, and the others have a thousandth each.

    A thousandth is less than a twentieth of the others' points, so their odds are divided by the square root of 20.
    """
    prior = {"point_shares": [0.25, 0.25, 0.5], "strength": 0.5}
    shift = (0.3, -0.2, 0.1)
    record = read_record(model)
    record = replace(record, calibration=Calibration(1.0, shift), training={"prior": prior})
    with open_raster(dataset / "images" / "north.tif", bands=record.bands) as source:
        odds = estimate_raster_prior(
            source, Undecided([0.0, 1.0, 0.0]), record, context_px=32, progress=Watcher()
        )
    expected = 0.5 * np.log([1 / 20, 1 / 1.002 / 0.25, 1 / 20]) - shift
    np.testing.assert_allclose([float(part) for part in odds.split()], expected, atol=1e-5)


def test_it_says_the_shares_that_it_found(quick, dataset, tmp_path):
    watcher = Watcher()
    predict(_settings(quick, dataset / "images" / "north.tif", tmp_path / "a.tif", prior="raster"), watcher)
    assert any(text.startswith("Classes on north.tif: field ") for text in watcher.said)


@pytest.mark.filterwarnings("ignore:The correction of class proportions did not improve")
def test_a_stopped_map_goes_on_with_the_odds_that_it_was_begun_with(quick, dataset, tmp_path):
    raster = dataset / "images" / "north.tif"
    whole, parts = (_settings(quick, raster, tmp_path / name, prior="raster") for name in ("w.tif", "p.tif"))
    predict(whole)
    with pytest.raises((StoppedError, KeyboardInterrupt)):
        predict(parts, Watcher(4))
    again = Watcher()
    predict(parts, again)
    assert not any(text.startswith("Classes on ") for text in again.said)
    assert np.array_equal(read_class_map(whole.output)[0], read_class_map(parts.output)[0])


@pytest.mark.filterwarnings("ignore:The correction of class proportions did not improve the training")
@pytest.mark.slow
def test_workers_map_with_the_same_odds(quick, dataset, tmp_path):
    raster = dataset / "images" / "north.tif"
    alone, spread = (_settings(quick, raster, tmp_path / name, prior="raster") for name in ("a.tif", "s.tif"))
    predict(alone)
    predict(spread.model_copy(update={"processes": 2}))
    assert np.array_equal(read_class_map(alone.output)[0], read_class_map(spread.output)[0])


def test_a_model_without_a_prior_has_none_to_exchange(model, dataset, tmp_path):
    record = read_record(model)
    plain = tmp_path / "plain.geoseg"
    plain.write_bytes(pack_model(read_model(model).network, replace(record, calibration=Calibration())))
    raster = dataset / "images" / "north.tif"
    with pytest.raises(SettingsError, match=r"trained without prior correction.*--prior em"):
        predict(_settings(plain, raster, tmp_path / "a.tif", prior="raster"))
