"""Check that optional dependencies are installed."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from geoseg.errors import SettingsError

_NEEDED = {"serve": ("flask", "flask_openapi3", "huey", "prometheus_client")}


def with_extra(name: Literal["serve"]) -> None:
    """Check that the packages of an extra are installed.

    Raises:
        SettingsError: A package is not installed.
    """
    missing = [package for package in _NEEDED[name] if find_spec(package) is None]
    if missing:
        raise SettingsError(
            f"this needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            hint=f"pip install 'geoseg-pointai[{name}]'",
        )
