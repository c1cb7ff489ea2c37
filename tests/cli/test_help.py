"""Every command explains itself."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from geoseg.cli import COMMANDS, app
from geoseg.cli.options import with_options
from geoseg.settings import TrainSettings

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


def test_every_setting_is_an_option_with_its_help_and_default():
    answer = CliRunner().invoke(app, ["train", "--help"], prog_name="geoseg", terminal_width=400)
    for name, field in TrainSettings.model_fields.items():
        flag = name.upper() if name in TrainSettings.arguments else f"--{name.replace('_', '-')}"
        assert f" {flag}" in answer.output
        assert " ".join(field.description.split()) in " ".join(answer.output.split())
    assert "[default: self-training,cutmix,affinity]" in answer.output
    assert "[default: 25 for pfce, 12 for deep]" in answer.output


def test_the_options_that_most_people_need_come_before_the_panels():
    shown = CliRunner().invoke(app, ["train", "--help"], prog_name="geoseg").output
    first = shown[shown.index("\nOptions:\n") : shown.index("\nPoint file:\n")]
    for flag in ("--points", "--output", "--recipe", "--minutes", "--check-points", "--resume"):
        assert flag in first
    assert "--backbone" not in first
    assert shown.index("Network:") < shown.index("Computing:") < shown.index("Example: geoseg train ")


def test_a_setting_that_is_not_given_is_left_to_its_default():
    seen = {}

    @with_options(TrainSettings)
    def command(values, *, quiet: bool = False):
        seen.update(values, quiet=quiet)

    given = dict.fromkeys(TrainSettings.model_fields)
    command(**{**given, "data": "a.tif", "bands": ["1,2", "4"]}, quiet=True)
    assert seen == {"data": "a.tif", "bands": ["1", "2", "4"], "quiet": True}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_is_that_of_the_modules(name):
    answer = CliRunner().invoke(app, [name, "--help"], prog_name="geoseg")
    assert answer.exit_code == 0
    assert answer.output.startswith(f"Usage: geoseg {name}")
