"""The command as a program: exit codes, and errors of one line."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

import pytest

from geoseg import __main__ as door
from geoseg import errors
from geoseg.errors import GeoSegError


def test_the_version_is_that_of_the_package(geoseg):
    outcome = geoseg("--version")

    assert (outcome.code, outcome.out.strip()) == (0, version("geoseg-pointai"))


def test_the_package_runs_as_a_module():
    command = [sys.executable, "-m", "geoseg", "--version"]

    answer = subprocess.run(command, capture_output=True, text=True, check=True)

    assert answer.stdout.strip() == version("geoseg-pointai")


def stop_with(fault: BaseException, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_options: object) -> None:
        raise fault

    monkeypatch.setattr(door, "app", fail)


@pytest.mark.parametrize("kind", [GeoSegError, *GeoSegError.__subclasses__()])
def test_every_error_of_the_tree_is_one_line_and_the_exit_code_of_its_class(geoseg, monkeypatch, kind):
    stop_with(kind("the file is odd", where="a.tif", got="line one\n  line two"), monkeypatch)

    outcome = geoseg("info", "a.tif")

    assert outcome.err == "Error: a.tif: the file is odd; got line one line two.\n"
    assert outcome.out == ""
    assert outcome.code == kind.exit_code


def test_ctrl_c_is_no_traceback(geoseg, monkeypatch):
    stop_with(KeyboardInterrupt(), monkeypatch)

    outcome = geoseg("demo")

    assert outcome.code == errors.StoppedError.exit_code == 130
    assert outcome.err == "Stopped.\n"


@pytest.mark.parametrize("arguments", [["predict"], ["train", "a.tif", "--no-such-option"], ["paint"]])
def test_a_command_that_is_not_understood_is_exit_code_2(geoseg, arguments):
    outcome = geoseg(*arguments)

    assert outcome.code == 2
    assert outcome.err.startswith("Usage: ")
    assert "\nError: " in outcome.err
    assert "Traceback" not in outcome.err


def test_a_number_that_is_none_is_said_without_the_words_of_programmers(geoseg):
    outcome = geoseg("train", "a.tif", "-o", "m.geoseg", "--epochs", "many")

    assert outcome.code == 2
    assert "Invalid value for '--epochs': expected a whole number" in outcome.err
