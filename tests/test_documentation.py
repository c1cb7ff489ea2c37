"""Every block of the documentation runs as it stands, on tiny data, or says why it does not."""

from __future__ import annotations

import importlib.util
import json
import re
import shlex
import shutil
import tomllib
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from safetensors.torch import save_file
from tests.embeddings import formats, vectors
from typer.testing import CliRunner

from geoseg.cli import app
from geoseg.domain.legend import Legend
from geoseg.domain.points import make_points
from geoseg.domain.ports import NullProgress
from geoseg.geodata.datasets.landscapes import landscape_legend, write_landscapes
from geoseg.geodata.datasets.legend_files import read_legend
from geoseg.geodata.points.point_files import write_points
from geoseg.geodata.reading.rasters import describe_raster
from geoseg.networks.models.deeplab import Architecture, build_network
from geoseg.settings.serving import ServeSettings
from geoseg.web.http import problems

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
BLOCK = re.compile(
    r"(?:<!-- not run: (?P<reason>[^>]+) -->\n)?^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.M | re.S
)
# Their blocks run in tests/test_readme.py and tests/web/test_documentation.py.
ELSEWHERE = {"README.md", "how-to/serve.md"}
SHORT = [
    *("--backbone", "mobilenet_v3_large", "--weights", "none", "--patch", "64", "--scales", "1"),
    *("--augmentations", "1", "--epochs", "1", "--patches", "2", "--batch", "2", "--quiet"),
]
ADDED = {
    "train": [*SHORT, "--overwrite"],
    "experiment": [*SHORT, "--seeds", "1"],
    "predict": ["--overwrite", "--quiet"],
}


def _pages():
    return {
        str(path.relative_to(DOCS)): path.read_text(encoding="utf-8") for path in sorted(DOCS.rglob("*.md"))
    }


PAGES = _pages()


def _blocks(text):
    return [(m["language"], m["code"], m["reason"]) for m in BLOCK.finditer(text)]


def _running(text):
    return [
        (language, code) for language, code, why in _blocks(text) if language in ("sh", "python") and not why
    ]


RUNNING = [name for name, text in PAGES.items() if name not in ELSEWHERE and _running(text)]


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A folder with everything that the pages name."""
    folder = tmp_path_factory.mktemp("place")
    data = folder / "DATA"
    write_landscapes(data, {"train": [1], "test": [2]}, size=128, resolution_m=1.0, progress=NullProgress())
    demo = {"train": [0, 1, 2, 3], "test": [4]}
    write_landscapes(
        folder / "demo-results" / "data", demo, size=128, resolution_m=1.0, progress=NullProgress()
    )
    shutil.copy(data / "images" / "scene-1.tif", folder / "orthophoto.tif")
    shutil.copy(data / "masks" / "scene-1.tif", folder / "mask.tif")
    infos = {"orthophoto": describe_raster(folder / "orthophoto.tif")}
    rng = np.random.default_rng(0)
    for name in ("field", "check", "polygons"):
        row, col = rng.choice(128, 24, replace=False), rng.choice(128, 24, replace=False)
        points = make_points("orthophoto", row, col, np.arange(24) % 6)
        write_points(folder / f"{name}.gpkg", points, infos, landscape_legend(), overwrite=False)
    matrix = next(code for language, code, _ in _blocks(PAGES["how-to/assess.md"]) if language == "csv")
    (folder / "matrix.csv").write_text(matrix)
    torch.manual_seed(0)
    backbone = build_network(Architecture("mobilenet_v3_large", classes=6, patch_px=64)).backbone
    save_file(dict(backbone.state_dict()), folder / "WEIGHTS.safetensors")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        _run("geoseg points sample DATA --split train --per-class 4 -o points.gpkg")
        _run("geoseg train orthophoto.tif --points field.gpkg --recipe quick -o model.geoseg")
        _run("geoseg predict model.geoseg orthophoto.tif -o map.tif")
    return folder


@pytest.fixture
def place(template, tmp_path, monkeypatch):
    folder = tmp_path / "place"
    shutil.copytree(template, folder)
    monkeypatch.chdir(folder)
    return folder


def _run(command):
    words = [
        str(found)
        for word in shlex.split(command, comments=True)[1:]
        for found in (sorted(Path.cwd().glob(word)) if "*" in word else [word])
    ]
    added = list(ADDED.get(words[0], ()))
    if words[0] == "train" and Path("embeddings.tif").exists():
        added = ["--patch", "64", "--overwrite", "--quiet"]
    elif words[0] == "train" and "--recipe" not in words:
        added += ["--recipe", "forest"]
    if "--summary-only" in words:
        added = []
    result = CliRunner().invoke(app, [*words, *added], catch_exceptions=False)
    assert result.exit_code == 0, f"{command}\n{result.output}"


def _write_embeddings(folder):
    """Write AlphaEarth embeddings, features on the same grid, and points on them."""
    mask = vectors.regions(128, 128)
    directions = vectors.unit(vectors.linear(mask, 64))
    stored = formats.alpha_earth_integers(directions, np.zeros(mask.shape, bool))
    formats.write_alpha_earth(folder / "embeddings.tif", stored)
    formats.write_tessera_floats(folder / "features.tif", directions[:5])
    for name in ("field", "check"):
        (folder / f"{name}.gpkg").unlink()
        vectors.write_points(folder / f"{name}.gpkg", mask, 12, seed=len(name))


@pytest.mark.pages
@pytest.mark.filterwarnings("ignore::geoseg.errors.GeoSegWarning")
@pytest.mark.parametrize("name", RUNNING)
def test_the_blocks_of_a_page_run(name, place):
    if name == "tutorial.md":  # It begins with what the demo writes, and nothing else.
        for path in place.iterdir():
            path.unlink() if path.is_file() else None
    if name == "how-to/embeddings.md":
        _write_embeddings(place)
    known = dict[str, object]()
    for language, code in _running(PAGES[name]):
        if language == "python":
            short = code.replace('recipe="forest"', 'recipe="forest", overwrite=True, patch=64')
            exec(short.replace('output="map.tif"', 'output="map.tif", overwrite=True'), known)
            continue
        for line in code.replace("\\\n", " ").splitlines():
            assert line.startswith(("geoseg ", "#")) or not line, f"this cannot be run here; say why: {line}"
            if line.startswith("geoseg "):
                _run(line)


@pytest.mark.parametrize("name", PAGES)
def test_every_block_names_a_language_that_is_run_or_checked(name):
    text = PAGES[name]
    assert text.count("\n```") == 2 * len(_blocks(text)), "a block without a language, or inside a list"
    for language, code, _ in _blocks(text):
        assert language in {"sh", "python", "json", "toml", "csv", "nginx", "text"}, language
        if language == "json":
            json.loads(code)
        if language == "toml":
            tomllib.loads(code)


def test_the_legend_of_the_file_formats_is_valid(tmp_path):
    (legend,) = [
        json.loads(code)
        for language, code, _ in _blocks(PAGES["reference/file-formats.md"])
        if language == "json"
    ]
    (tmp_path / "legend.json").write_text(json.dumps(legend))
    assert isinstance(read_legend(tmp_path / "legend.json"), Legend)


@pytest.fixture(scope="module")
def generated():
    """The reference pages, as the build of the site writes them."""
    spec = importlib.util.spec_from_file_location("reference", DOCS / "hooks" / "reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: "\n".join(write()) for name, write in module.PAGES.items()}


def _options(command, name="geoseg"):
    if hasattr(command, "list_commands"):
        context = command.context_class(command)
        for child in command.list_commands(context):
            yield from _options(command.get_command(context, child), f"{name} {child}")
    else:
        yield (
            name,
            [
                o
                for p in command.params
                if not p.hidden
                for o in [*p.opts, *p.secondary_opts]
                if o.startswith("-")
            ],
        )


def test_every_command_and_option_is_in_the_reference(generated):
    parts = {p.partition("\n")[0]: p for p in generated["commands"].split("\n## ")}
    for name, options in _options(typer.main.get_command(app)):
        for option in options:
            assert f"`{option}`" in parts[name], (name, option)


def test_every_option_of_our_commands_on_a_page_exists():
    known = {
        "--help",
        "--version",
        *(o for _, options in _options(typer.main.get_command(app)) for o in options),
    }
    for name, text in {**PAGES, "README.md": (ROOT / "README.md").read_text(encoding="utf-8")}.items():
        code = [line for _, block, _ in _blocks(text) for line in block.replace("\\\n", " ").splitlines()]
        commands = [line for line in code if line.lstrip().startswith("geoseg ")]
        words = set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", "\n".join(commands)))
        assert words <= known, (name, words - known)


def test_every_setting_is_in_the_reference(generated):
    for name in ServeSettings.model_fields:
        assert f"| `{name}` |" in generated["settings"], name


def test_every_problem_is_in_the_reference_with_its_status(generated):
    for kind in problems.PROBLEM_TYPES:
        assert f"| {kind.status} | `{kind.type}` |" in generated["http"], kind.slug


def test_every_public_name_is_in_the_reference(generated):
    import geoseg

    for name in geoseg.__all__:
        assert name.startswith("__") or name in generated["python"], name
