"""Two processes train one model: it is written once and said once."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from geoseg.learning.model_file import read_model


def _train(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "geoseg", "train", *map(str, arguments)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.mark.slow
def test_a_model_of_two_processes_is_written_and_said_once(dataset, points, cheaply, tmp_path):
    path = tmp_path / "model.geoseg"
    done = _train(
        dataset,
        "--points",
        points,
        "--recipe",
        "pfce",
        *cheaply,
        "--epochs",
        2,
        "--processes",
        2,
        "--json",
        "-o",
        path,
    )
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["model"] == str(path)
    assert len(read_model(path).record.training["history"]) == 2
    log = (tmp_path / "model.run" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["epoch"] for line in log] == [1, 2]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["model.geoseg", "model.run"]


@pytest.mark.parametrize("recipe", ["quick", "forest"])
def test_a_recipe_of_one_process_says_so(geoseg, dataset, points, tmp_path, recipe):
    path = tmp_path / "model.geoseg"
    done = geoseg("train", dataset, "--points", points, "--recipe", recipe, "--processes", 2, "-o", path)
    assert done.code == 2
    assert f"the recipe {recipe} runs in one process only; expected 1, or a recipe of pfce, full" in done.err
    assert list(tmp_path.iterdir()) == []
