from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def assert_fails():
    """Check that a command ended with a code and one line that holds all the words, and printed no result."""

    def check(outcome, code: int, *words: object) -> None:
        assert outcome.out == ""
        assert "Traceback" not in outcome.err
        line = outcome.err.splitlines()[-1]
        assert outcome.err.count("Error: ") == 1
        assert line.startswith("Error: ")
        assert [str(word) for word in words if str(word) not in line] == []
        assert outcome.code == code

    return check


@pytest.fixture
def files():
    """Names of all files below a folder."""
    return lambda folder: {str(p.relative_to(folder)) for p in Path(folder).rglob("*") if p.is_file()}
