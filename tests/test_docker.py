"""What the files for containers promise, as far as it can be checked without them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def check(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(folder / "docker" / "check.py")], capture_output=True, text=True, check=False
    )


def test_the_image_and_its_services_keep_their_promises():
    done = check(ROOT)
    assert (done.returncode, done.stdout) == (0, "ok\n"), done.stderr


@pytest.mark.parametrize(
    ("file", "before", "after", "named"),
    [
        ("Dockerfile", "USER 10001", "USER 0", "not root"),
        ("Dockerfile", "GEOSEG_DATA", "GEOSEG_DATEN", "GEOSEG_DATEN is a setting"),
        ("compose.yaml", "read_only: true", "read_only: false", "read-only root"),
    ],
)
def test_a_promise_that_is_broken_is_named(tmp_path, file, before, after, named):
    for path in ("docker", "src", "pyproject.toml", "README.md", "LICENSE"):
        (tmp_path / path).symlink_to(ROOT / path) if path != "docker" else (tmp_path / path).mkdir()
    for path in (ROOT / "docker").iterdir():
        text = path.read_text()
        if path.name == file:
            assert before in text
            text = text.replace(before, after)
        (tmp_path / "docker" / path.name).write_text(text)
    done = check(tmp_path)
    assert done.returncode == 1
    assert named in done.stderr
