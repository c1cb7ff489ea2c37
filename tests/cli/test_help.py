"""Every command explains itself."""

from __future__ import annotations

import inspect

import pytest
from typer.testing import CliRunner

from geoseg.cli import app, train
from geoseg.cli.experiments import experiment
from geoseg.settings.training import DEFAULT_PARTS

OPTIONS = {
    "points sample": "--split --per-class --scope --tile --seed --output --legend --overwrite --json",
    "train": "--points --recipe --weights --bands --epochs --class-column --legend --device --resume --output",
    "predict": "--output --confidence --window --resample --area --device --overwrite --json",
    "evaluate": "--truth --points --role --split --picture --legend --json",
    "info": "--json",
    "demo": "--output --seed --overwrite --json",
}


@pytest.mark.parametrize("command", OPTIONS)
def test_help_names_the_options_of_a_command(command):
    answer = CliRunner().invoke(app, [*command.split(), "--help"], prog_name="geoseg")

    assert answer.exit_code == 0
    assert answer.output.startswith(f"Usage: geoseg {command}")
    assert [option for option in OPTIONS[command].split() if option not in answer.output] == []


@pytest.mark.parametrize("command", [[], ["points"]])
def test_without_a_command_the_commands_are_listed(geoseg, command):
    outcome = geoseg(*command)

    assert "Commands:" in outcome.out + outcome.err
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize("command", [train, experiment])
def test_the_parts_of_deep_are_by_default_those_of_the_settings(command):
    assert inspect.signature(command).parameters["parts"].default == list(DEFAULT_PARTS)
