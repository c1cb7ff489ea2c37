"""``geoseg experiment`` as it is typed."""

import json
import shutil
import subprocess
import sys

import pytest


@pytest.mark.slow
def test_an_experiment_prints_its_table(geoseg, dataset, lightly, tmp_path):
    protocol = tmp_path / "protocol.json"
    protocol.write_text(json.dumps({"scope": "total", "wrong_share": 0.1}))
    asked = ["--recipes", "forest,quick", "--per-class", "5", "--seeds", 1, "--protocol", protocol]

    outcome = geoseg("experiment", dataset, *asked, *lightly, "-o", tmp_path / "results")

    assert outcome.code == 0
    assert "as published" not in outcome.out
    assert "Run 2/2: quick, 5 points per class, seed 0" in outcome.err
    again = geoseg("experiment", dataset, *asked, *lightly, "-o", tmp_path / "results", "--json", "-q")
    assert [e["recipe"] for e in json.loads(again.out)["results"]] == ["forest", "quick"]


def test_a_protocol_that_cannot_be_read_is_named(geoseg, dataset, tmp_path):
    outcome = geoseg("experiment", dataset, "--protocol", tmp_path / "no.json", "-o", tmp_path / "r")
    assert outcome.code > 0
    assert "no.json: the protocol cannot be read" in outcome.err


def test_a_recipe_that_is_none_is_named(geoseg, dataset, tmp_path):
    outcome = geoseg("experiment", dataset, "--recipes", "best", "-o", tmp_path / "r")
    assert "--recipes" in outcome.err
    outcome = geoseg("experiment", dataset, "--epochs", "0", "-o", tmp_path / "r")
    assert "--epochs" in outcome.err


@pytest.mark.slow
def test_a_killed_command_costs_the_run_that_it_was_at(geoseg, dataset, lightly, tmp_path):
    folder = tmp_path / "results"
    asked = [
        "--recipes",
        "forest",
        "--per-class",
        "4",
        "--per-class",
        "8",
        "--seeds",
        "1",
        *lightly,
        "-o",
        str(folder),
    ]
    command = [sys.executable, "-m", "geoseg", "experiment", str(dataset), *asked]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        said = next(line for line in running.stderr if "Run 2/2" in line)
        running.kill()
    assert "forest, 8 points per class" in said
    (first,) = (folder / "runs").iterdir()
    before = first.stat().st_mtime_ns

    outcome = geoseg("experiment", dataset, *asked)

    assert outcome.code == 0
    assert first.stat().st_mtime_ns == before
    assert {path.name for path in (folder / "runs").iterdir()} == {
        "forest-4-seed0.json",
        "forest-8-seed0.json",
    }
    assert (folder / "summary.md").exists()


@pytest.mark.slow
def test_a_folder_of_results_is_summed_up_without_its_dataset(geoseg, dataset, lightly, tmp_path):
    folder = tmp_path / "results"
    asked = ["--recipes", "forest", "--per-class", "4", "--seeds", 1, *lightly]
    first = geoseg("experiment", dataset, *asked, "-o", folder, "--json", "-q")
    (folder / "summary.md").unlink()
    shutil.rmtree(folder / "maps")
    shutil.rmtree(folder / "points")

    outcome = geoseg("experiment", "--summary-only", "-o", folder)

    assert outcome.code == 0
    assert "forest" in outcome.out
    assert "Warning: Comparison pictures are left out: DATA is not given." in outcome.err
    assert "Run 1" not in outcome.err
    assert (folder / "summary.md").exists()
    again = geoseg("experiment", "--summary-only", "-o", folder, "--json", "-q")
    assert json.loads(again.out) == json.loads(first.out)
    other = geoseg("experiment", "--summary-only", "-o", folder, "--background", "wood", "--json", "-q")
    assert json.loads(other.out)["results"][0]["miou_without_background"] is not None


def test_a_dataset_that_is_not_given_is_named(geoseg, tmp_path):
    outcome = geoseg("experiment", "-o", tmp_path / "results")

    assert outcome.code == 2
    assert (
        "DATA: no dataset is given. Give a dataset folder. Only --summary-only works without one."
        in outcome.err
    )
    assert not (tmp_path / "results").exists()


def test_a_folder_to_sum_up_that_is_none_is_named(geoseg, tmp_path):
    outcome = geoseg("experiment", "--summary-only", "-o", tmp_path / "no")

    assert outcome.code == 8
    assert f"{tmp_path / 'no'}: this is not an experiment folder" in outcome.err
    assert not (tmp_path / "no").exists()
