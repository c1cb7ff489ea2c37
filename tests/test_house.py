"""The house keeps its promises: the locks, the size of a module, the light door."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "geoseg"
LOCKS = ["requirements.lock", "requirements-uv.lock", "docker/requirements.lock"]
HEAVY = {"torch", "torchvision", "rasterio", "geopandas", "pyogrio", "matplotlib", "sklearn", "scipy"}
# What would take --help past half a second. Of rich, the parts that highlight and render Markdown:
# typer loads them unless it is given rich_markup_mode=None.
SLOW_TO_HELP = {"numpy", "pydantic", "pygments", "markdown_it"}


def logical_lines(lock: str) -> list[str]:
    text = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]


def package_name(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


def loaded_after(statement: str) -> set[str]:
    code = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n')"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in answer.stdout.split()}


@pytest.mark.parametrize("name", [*LOCKS, "pyproject.toml", "Makefile", ".ci/run"])
def test_no_file_of_the_installation_names_a_registry_host(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"--(extra-)?index-url\s*[ =]\S|--find-links", text)


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_one_version_and_hashes(lock: str) -> None:
    lines = logical_lines(lock)
    names = [package_name(line) for line in lines]
    assert lines
    assert len(names) == len(set(names))
    assert [line for line in lines if not re.search(r"==\S+.*--hash=sha256:[0-9a-f]{64}\b", line)] == []


def test_the_lock_holds_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    declared = [
        *project["project"]["dependencies"],
        *project["project"]["optional-dependencies"]["dev"],
        *project["build-system"]["requires"],
    ]
    locked = {package_name(line) for line in logical_lines("requirements.lock")}
    extras = project["project"]["optional-dependencies"]
    declared += [requirement for name in extras.keys() - {"dev"} for requirement in extras[name]]
    own = {package_name(project["project"]["name"])}
    assert {package_name(requirement) for requirement in declared} - own - locked == set()


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {
        path.relative_to(SOURCE).as_posix(): len(path.read_text(encoding="utf-8").splitlines())
        for path in SOURCE.rglob("*.py")
    }
    assert lengths
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_the_package_says_that_it_is_typed() -> None:
    assert (SOURCE / "py.typed").is_file()


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert loaded_after("import geoseg") & HEAVY == set()


def test_the_terminal_door_opens_without_heavy_imports() -> None:
    assert loaded_after("import geoseg.cli") & HEAVY == set()


def test_help_is_printed_without_heavy_imports() -> None:
    ask = "import sys\nfrom geoseg.__main__ import main\nsys.argv = ['geoseg', '--help']"
    report = "import atexit, sys\natexit.register(lambda: print(*sys.modules, file=sys.stderr))"
    answer = subprocess.run(
        [sys.executable, "-c", f"{report}\n{ask}\nmain()"], capture_output=True, text=True, check=True
    )
    assert {"demo", "points", "train", "predict", "evaluate", "info"} <= set(answer.stdout.split())
    loaded = {name.partition(".")[0] for name in answer.stderr.split()}
    assert loaded & (HEAVY | SLOW_TO_HELP) == set()


def test_pip_would_install_the_licence_that_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "Apache-2.0"
    assert "Apache License" in (ROOT / "LICENSE").read_text(encoding="utf-8")
