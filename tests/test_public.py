"""The Python API: its names, loaded when they are used, documented, with examples that run."""

from __future__ import annotations

import doctest
import functools
import importlib
import inspect
import subprocess
import sys
import warnings

import pytest

import geoseg
from geoseg.errors import GeoSegError, SettingsError
from geoseg.settings import (
    AssessDesignSettings,
    AssessEstimateSettings,
    AuditSettings,
    DemoSettings,
    EvaluateSettings,
    ExperimentSettings,
    ExportSettings,
    PictureSettings,
    PredictSettings,
    SampleSettings,
    Settings,
    SplitSettings,
    TrainSettings,
    read_settings,
)

COMMANDS = {
    "assess_design": AssessDesignSettings,
    "assess_estimate": AssessEstimateSettings,
    "audit_points": AuditSettings,
    "demo": DemoSettings,
    "evaluate_files": EvaluateSettings,
    "experiment": ExperimentSettings,
    "export": ExportSettings,
    "picture": PictureSettings,
    "predict": PredictSettings,
    "sample": SampleSettings,
    "split_points": SplitSettings,
    "train": TrainSettings,
}
EXAMPLES = (
    "PFCELoss",
    "PointSegmenter",
    "Points",
    "evaluate",
    "losses.pfce_at_points",
    "predict_raster",
    "sample_points",
)


def test_importing_the_package_and_its_commands_does_not_load_torch():
    code = (
        "import sys, geoseg; geoseg.train, geoseg.SettingsError; "
        "print('torch' in sys.modules, 'rasterio' in sys.modules)"
    )

    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert answer.stdout.split() == ["False", "False"]


def test_dir_lists_the_public_names_alone():
    assert dir(geoseg) == sorted(geoseg.__all__)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_of_public_names_run(name):
    found = functools.reduce(getattr, name.split("."), geoseg)
    finder, runner = doctest.DocTestFinder(recurse=True), doctest.DocTestRunner()
    module = importlib.import_module(found.__module__)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", geoseg.GeoSegWarning)
        for example in finder.find(found, name, globs=dict(vars(module))):
            runner.run(example)

    assert runner.tries > 0
    assert runner.failures == 0


@pytest.mark.parametrize("name", geoseg.__all__)
def test_every_public_name_is_there_and_documented(name):
    found = getattr(geoseg, name)

    assert name == "__version__" or inspect.getdoc(found)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_takes_its_settings_as_keywords_and_documents_each(name):
    function = getattr(geoseg, name)
    doc, parameters = inspect.getdoc(function), inspect.signature(function).parameters

    assert inspect.isfunction(function)
    assert set(parameters) == {*COMMANDS[name].model_fields, "progress"}
    assert [one for one in parameters if f"    {one}: " not in doc] == []
    assert {"Args:", "Returns:", "Raises:"} <= set(doc.split())
    required = [one for one, field in COMMANDS[name].model_fields.items() if field.is_required()]
    assert [p.name for p in parameters.values() if p.default is p.empty] == required


def test_a_command_names_a_wrong_argument_as_in_python(tmp_path):
    with pytest.raises(geoseg.SettingsError, match=r"^epoch: there is no such setting\.$"):
        geoseg.train(data="a.tif", points="p.csv", output="m.geoseg", epoch=3)
    with pytest.raises(geoseg.SettingsError, match=r"^class_column: .* got 7\.$"):
        geoseg.train(data="a.tif", points="p.csv", output="m.geoseg", class_column=7)
    with pytest.raises(geoseg.SettingsError) as fault:
        geoseg.train(data="a.tif", output="m.geoseg")
    assert "points" in str(fault.value)
    assert "--" not in str(fault.value)


def test_a_path_stands_for_a_list_of_one():
    with pytest.raises(geoseg.ModelFileError, match=r"missing\.geoseg"):
        geoseg.predict(model="missing.geoseg", rasters="a.tif", output="map.tif", also="areas")


def test_every_setting_is_documented():
    for kind in Settings.__subclasses__():
        hidden = [n for n, field in kind.model_fields.items() if field.json_schema_extra["panel"] == "-"]
        assert [n for n, field in kind.model_fields.items() if not field.description] == hidden


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
