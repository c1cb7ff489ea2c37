"""The page itself: static files of the package."""

from __future__ import annotations

from pathlib import Path

from flask import Response, send_from_directory
from flask_openapi3 import APIBlueprint
from pydantic import BaseModel

api = APIBlueprint("page", __name__)
STATIC = Path(__file__).parents[1] / "static"


class FilePath(BaseModel):
    """Path parameter of a file of the page."""

    name: str


@api.get("/", doc_ui=False)
def page() -> Response:
    """Return the page."""
    return send_from_directory(STATIC, "index.html", max_age=0)


@api.get("/static/<path:name>", doc_ui=False)
def static_file(path: FilePath) -> Response:
    """Return a file of the page."""
    return send_from_directory(STATIC, path.name, max_age=0)
