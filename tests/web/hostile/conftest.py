"""A service for strangers to abuse, and a good image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.web.hostile.raw_requests import LONGEST_S

UPLOAD_S = 2.0
# Else what its faults were would not be told.
pytest.register_assert_rewrite("tests.web.hostile.answers")


@pytest.fixture(scope="session")
def strict(serve_session: Any, model: Path) -> Any:
    """A service that takes small bodies, and takes them quickly or not at all."""
    return serve_session(
        model, job_workers=0, upload_timeout_s=UPLOAD_S, max_upload_mib=8, timeout_s=LONGEST_S / 2, threads=16
    )


@pytest.fixture(scope="session")
def image(raster: Path) -> bytes:
    return raster.read_bytes()
