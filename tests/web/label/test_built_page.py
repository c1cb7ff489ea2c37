"""The files of the page are those that its sources build."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGE, STATIC = ROOT / "page", ROOT / "src" / "geoseg" / "web" / "label" / "static"
BUILT = ("LICENCES.txt", "label.css", "label.js")


def test_the_lock_of_the_page_names_no_registry_and_has_a_hash_of_every_package() -> None:
    packages = json.loads((PAGE / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    found = [package for name, package in packages.items() if name]
    assert found
    assert [package for package in found if "resolved" in package] == []
    assert [package for package in found if not package["integrity"].startswith("sha512-")] == []


def test_the_page_ships_the_licence_of_every_package_in_it() -> None:
    notices = (STATIC / "LICENCES.txt").read_text(encoding="utf-8")
    assert "ol 10." in notices
    assert notices.count("THE SOFTWARE IS PROVIDED") + notices.count("THIS SOFTWARE IS PROVIDED") >= 2


def test_the_page_has_no_inline_script_and_no_address_of_another_host() -> None:
    html = (STATIC / "index.html").read_text(encoding="utf-8")
    assert '<script type="module" src="/static/label.js"></script>' in html
    assert html.count("<script") == 1
    assert "://" not in html
    assert "style=" not in html
    assert "url(http" not in (STATIC / "label.css").read_text(encoding="utf-8")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_the_sources_build_the_page_that_is_shipped(tmp_path: Path) -> None:
    copied = tmp_path / "page"
    shutil.copytree(PAGE, copied, ignore=shutil.ignore_patterns("node_modules"))
    npm = ["npm", "--prefix", str(copied)]
    install = subprocess.run(
        [*npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"],
        cwd=copied,
        capture_output=True,
        text=True,
        check=False,
    )
    if install.returncode:
        pytest.skip(f"npm cannot install the packages of the page: {install.stderr[-300:]}")
    built = tmp_path / "built"
    built.mkdir()
    subprocess.run(["node", "build.mjs", str(built)], cwd=copied, capture_output=True, check=True)
    assert sorted(path.name for path in built.iterdir()) == list(BUILT)
    for name in BUILT:
        assert (built / name).read_bytes() == (STATIC / name).read_bytes(), f"run make page: {name} is old"
