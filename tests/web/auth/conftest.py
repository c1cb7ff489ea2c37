"""A store of API keys whose clocks tests set, with a key of small limits."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from tests.web.auth.clock import Clock

from geoseg.web.auth.keys import KeyStore


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "keys.sqlite"


@pytest.fixture
def steady():
    return Clock(1000.0)


@pytest.fixture
def wall():
    return Clock(datetime(2026, 3, 1, 22, tzinfo=UTC).timestamp())


@pytest.fixture
def store(path, wall, steady):
    return KeyStore(path, wall_clock=wall, monotonic_clock=steady)


@pytest.fixture
def anna(store):
    """A key of three requests a minute and 100 pixels a day."""
    return store.check(store.add("anna", per_minute=3, pixels_per_day=100))
