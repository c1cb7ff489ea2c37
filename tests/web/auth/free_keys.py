"""API keys without limits, for tests that are not about these."""

from __future__ import annotations

from geoseg.web.auth.keys import KeyStore


def free(store: KeyStore, name: str = "anna") -> str:
    return store.add(name, per_minute=0, pixels_per_day=0)
