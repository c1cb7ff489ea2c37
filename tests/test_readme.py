"""The README's commands and its Python run as they stand, on tiny data; training is only made short."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from typer.testing import CliRunner

from geoseg.cli import app
from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.geodata.datasets.landscapes import landscape_legend, write_landscapes
from geoseg.geodata.points.point_files import write_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.networks.models.deeplab import Architecture, build_network

README = (Path(__file__).parents[1] / "README.md").read_text()
SHORT = "--backbone mobilenet_v3_large --weights none --patch 64 --batch 2 --patches 2 --epochs 1 --quiet"
SHORT_PYTHON = 'weights="none", backbone="mobilenet_v3_large", patch=64, batch=2, patches=2, epochs=1'


def _blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def _commands():
    lines = [line for block in _blocks("sh") for line in block.splitlines() if line.startswith("geoseg ")]
    # The service is asked in tests/web/test_documentation.py.
    return [line for line in lines if not line.startswith("geoseg serve")]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with everything that the README's commands name."""
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "DATA"
    seeds = {"train": [1], "test": [2]}
    write_landscapes(data, seeds, size=128, resolution_m=1.0, progress=NullProgress())
    (tmp_path / "orthophoto.tif").write_bytes((data / "images" / "scene-1.tif").read_bytes())
    infos = {"orthophoto": describe_raster(tmp_path / "orthophoto.tif")}
    rng = np.random.default_rng(0)
    for name in ("field", "check"):
        row, col = rng.choice(128, 24, replace=False), rng.choice(128, 24, replace=False)
        points = make_points("orthophoto", row, col, np.arange(24) % 6)
        write_points(tmp_path / f"{name}.gpkg", points, infos, landscape_legend(), overwrite=False)
    torch.manual_seed(0)
    backbone = build_network(Architecture("mobilenet_v3_large", classes=6, patch_px=64)).backbone
    save_file(dict(backbone.state_dict()), tmp_path / "WEIGHTS.safetensors")
    return tmp_path


@pytest.mark.slow
def test_the_commands_of_the_readme_run(place):
    commands = _commands()
    assert {c.split()[1] for c in commands} == {"points", "train", "predict", "evaluate"}
    for command in commands:
        words = [
            str(found)
            for word in shlex.split(command)[1:]
            for found in (sorted(place.glob(word)) if "*" in word else [word])
        ]
        short = shlex.split(SHORT) if words[0] == "train" else []
        if "--weights" in words:
            short = [s for s in short if s not in ("--weights", "none")]
        if words[0] == "train" and Path("model.geoseg").exists():
            short += ["--overwrite"]
        result = CliRunner().invoke(app, [*words, *short], catch_exceptions=False)
        assert result.exit_code == 0, f"{command}\n{result.output}"


@pytest.mark.filterwarnings("ignore::geoseg.errors.GeoSegWarning")
def test_the_python_of_the_readme_runs(place, capsys):
    (code,) = _blocks("python")
    exec(code.replace('output="model.geoseg")', f'output="model.geoseg", {SHORT_PYTHON})'), {})
    assert 0 <= float(capsys.readouterr().out.split()[0]) <= 1


def test_the_links_and_pictures_of_the_readme_exist():
    root = Path(__file__).parents[1]
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links
    assert not [link for link in links if not (root / link).exists()]


def test_the_make_targets_of_the_readme_exist():
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    targets = re.findall(r"^make (\w+)", "\n".join(_blocks("sh")), flags=re.MULTILINE)
    assert targets == ["demo", "test"]
    assert all(re.search(rf"^{target}:", makefile, flags=re.MULTILINE) for target in targets)
