"""The Python API: the verbs and their settings, by name, loaded when they are used."""

from __future__ import annotations

import inspect
import subprocess
import sys
import typing

import pytest

import geoseg
from geoseg.errors import GeoSegError, SettingsError
from geoseg.settings import Settings, TrainSettings, read_settings

VERBS = {
    "demo": "DemoSettings",
    "evaluate": "EvaluateSettings",
    "experiment": "ExperimentSettings",
    "predict": "PredictSettings",
    "sample": "SampleSettings",
    "train": "TrainSettings",
}


def test_importing_the_package_and_its_settings_does_not_load_torch():
    code = (
        "import sys, geoseg; geoseg.TrainSettings; print('torch' in sys.modules, 'rasterio' in sys.modules)"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("name", geoseg.__all__)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(geoseg, name)

    assert name == "__version__" or inspect.getdoc(found)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_takes_its_settings_and_says_what_it_returns(verb):
    function = getattr(geoseg, verb)
    hints = typing.get_type_hints(function)

    assert inspect.isfunction(function)
    assert hints["settings"] is getattr(geoseg, VERBS[verb])
    assert hints["return"] is not type(None)
    assert "Raises:" in inspect.getdoc(function)


def test_every_setting_is_documented():
    for kind in Settings.__subclasses__():
        text = inspect.getdoc(kind)
        assert [name for name in kind.model_fields if f"\n    {name}: " not in text] == []


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'geoseg' has no attribute 'trane'"):
        _ = geoseg.trane
    with pytest.raises(ImportError):
        exec("from geoseg import trane")


def test_settings_cannot_be_changed_or_misspelt():
    settings = TrainSettings(data="a.tif", points="p.csv", output="m.geoseg")

    with pytest.raises(ValueError, match="frozen"):
        settings.epochs = 3
    with pytest.raises(SettingsError, match=r"^epoch: there is no such setting\.$"):
        TrainSettings(data="a.tif", points="p.csv", output="m.geoseg", epoch=3)


def test_a_door_gets_an_error_of_the_tree_that_names_the_option():
    with pytest.raises(SettingsError, match=r"^--class-column: .*; got 7\.$") as fault:
        read_settings(
            TrainSettings, {"data": "a.tif", "points": "p.csv", "output": "m.geoseg", "class_column": 7}
        )
    assert isinstance(fault.value, geoseg.GeoSegError)
    assert geoseg.GeoSegError is GeoSegError
