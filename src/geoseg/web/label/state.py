"""What the requests of a labelling page share."""

from __future__ import annotations

from typing import cast

from flask import current_app

from geoseg.workflows.labelling.session import LabelSession

EXTENSION = "geoseg-label"


def session() -> LabelSession:
    """Return the session of the current app."""
    return cast(LabelSession, current_app.extensions[EXTENSION])
