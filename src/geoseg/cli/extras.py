"""Parts of the package that are installed apart."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Literal

from geoseg.errors import SettingsError

_NEEDED = {"serve": ("flask", "flask_openapi3", "huey", "prometheus_client")}


def with_extra(name: Literal["serve"]) -> None:
    """Make sure that what an extra of this package brings is there.

    Raises:
        SettingsError: Something is missing.
    """
    missing = [package for package in _NEEDED[name] if find_spec(package) is None]
    if missing:
        raise SettingsError(
            f"this needs {', '.join(missing)}, which {'is' if len(missing) == 1 else 'are'} not installed",
            hint=f"pip install 'geoseg-pointai[{name}]'",
        )
