"""An image that keeps a service at work while a fault comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture(scope="session")
def middling(write_tiff: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image that takes a while."""
    pixels = np.full((3, 512, 512), 90, np.uint8)
    return write_tiff(tmp_path_factory.mktemp("middling") / "middling.tif", pixels, compress="deflate")
