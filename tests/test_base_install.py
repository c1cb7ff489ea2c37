"""The installation without extras: the main job from points to a checked map, with torch absent."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MOST_MB = 800
"""Without compiled bytecode, which adds a fifth."""

pytestmark = pytest.mark.slow

Run = Callable[..., str]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the package and what it needs, in the versions that are tested."""
    folder = tmp_path_factory.mktemp("base")
    pins = re.findall(r"^[a-z0-9-]+==[^ ;]+", (ROOT / "requirements.lock").read_text(), re.MULTILINE)
    (folder / "pins.txt").write_text("\n".join(pins))
    uv = Path(sys.executable).with_name("uv")
    environment = {**os.environ, "VIRTUAL_ENV": str(folder / "venv")}
    for command in (
        ["venv", "--python", sys.executable, folder / "venv"],
        ["pip", "install", "--compile-bytecode", "--constraints", folder / "pins.txt", ROOT],
    ):
        subprocess.run([uv, *command], env=environment, check=True, capture_output=True, text=True)
    return folder / "venv"


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run the command of that environment, and return what it prints."""

    def command(*arguments: object, code: int = 0) -> str:
        environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        for name in ("PYTHONPATH", "PYTHONDONTWRITEBYTECODE"):
            environment.pop(name, None)
        done = subprocess.run(
            [installed / "bin" / "geoseg", *map(str, arguments)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stderr
        return done.stdout or done.stderr

    return command


def test_it_is_small_and_has_no_torch(installed: Path) -> None:
    files = [
        path
        for path in installed.rglob("*")
        if path.is_file() and not path.is_symlink() and path.suffix != ".pyc"
    ]
    assert sum(path.stat().st_size for path in files) < MOST_MB * 1e6
    [packages] = installed.glob("lib/python*/site-packages")
    assert not (packages / "torch").exists()


def test_the_main_job_runs_without_torch(run: Run, dataset: Path, points: Path) -> None:
    """The default recipe tries quick and forest."""
    raster, mask = dataset / "images" / "north.tif", dataset / "masks" / "north.tif"

    run("train", dataset, "--points", points, "--patch", 64, "-o", "model.geoseg")
    run("predict", "model.geoseg", raster, "-o", "map.tif", "--confidence", "sure.tif")
    scores = json.loads(run("evaluate", "map.tif", "--truth", mask, "--json"))
    run("export", "model.geoseg", "-o", "model.onnx")

    assert scores["miou"] > 0.8


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--recipe", "deep"], "--recipe: the recipe deep needs torch"),
        (["--recipe", "quick", "--backbone", "resnet50"], "--backbone: the backbone resnet50"),
    ],
)
def test_what_needs_torch_says_how_to_install_it(
    run: Run, dataset: Path, points: Path, options: list[str], named: str
) -> None:
    said = run("train", dataset, "--points", points, *options, "-o", "model.geoseg", code=2)
    assert named in said
    assert "pip install geoseg-pointai[torch]" in said
