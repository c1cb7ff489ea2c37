"""A service for strangers to abuse, and a good image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.web.hostile.raw_requests import LONGEST_S

# Else what its faults were would not be told.
pytest.register_assert_rewrite("tests.web.hostile.answers")


@pytest.fixture(scope="session")
def strict(serve_session: Any, model: Path) -> Any:
    """A service that accepts small bodies only."""
    return serve_session(model, job_workers=0, max_upload_mib=8, timeout_s=LONGEST_S / 2, threads=16)


@pytest.fixture(scope="session")
def image(raster: Path) -> bytes:
    return raster.read_bytes()
