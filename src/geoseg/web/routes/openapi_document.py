"""The OpenAPI document: parts shared by all operations, and its URL behind a proxy."""

from __future__ import annotations

from typing import Any, cast

from flask import current_app, jsonify, redirect, request
from flask.wrappers import Response
from flask_openapi3 import APIBlueprint, Info, OpenAPI
from pydantic import BaseModel
from werkzeug.wrappers import Response as BaseResponse

from geoseg import __version__
from geoseg.web.http import problems
from geoseg.web.http.problems import ProblemType

SECURITY_SCHEMES: Any = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, if the service needs one."},
    "header": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
SECURITY: list[dict[str, list[Any]]] = [{}, {"bearer": []}, {"header": []}]
INFO = Info(
    title="GeoSeg-PointAI",
    version=__version__,
    description="Land-cover maps of aerial and satellite images by models trained from points.",
)
_COMMON = (
    *(problems.BAD_REQUEST, problems.NO_KEY, problems.METHOD, problems.BAD_PARAMETER),
    *(problems.RATE_LIMIT, problems.INTERNAL, problems.KEYS_DOWN),
)
_HEADERS: dict[str, Any] = {
    "X-Request-ID": {
        "description": "The request's id, also in the service's log.",
        "schema": {"type": "string"},
    }
}

PAGE = "/docs/swagger"
"""Path of the documentation page."""

api = APIBlueprint("docs", __name__)


Responses = dict[str | int, type[BaseModel] | dict[Any, Any] | None]
"""Responses of operations by status."""


def problem_responses(*kinds: ProblemType) -> Responses:
    """Return the problem responses of an operation, with those common to all operations."""
    by_status: dict[str, list[ProblemType]] = {}
    for kind in (*_COMMON, *kinds):
        by_status.setdefault(str(kind.status), []).append(kind)
    return {
        status: {
            "description": "; ".join(dict.fromkeys(f"{k.title} (`{k.type}`)" for k in found)),
            "headers": _HEADERS,
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}},
        }
        for status, found in by_status.items()
    }


def success_response(description: str, content: dict[str, Any], **headers: str) -> dict[str, Any]:
    """Return a success response.

    Args:
        description: Description of the response.
        content: Schemas by media type.
        headers: Descriptions by header.
    """
    more = {name: {"description": text, "schema": {"type": "string"}} for name, text in headers.items()}
    return {"description": description, "content": content, "headers": {**_HEADERS, **more}}


def schema_ref(name: str) -> dict[str, Any]:
    """Return a reference to a schema of the document by its name."""
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}


def image_request_body(**others: Any) -> dict[str, Any]:
    """Return the ``openapi_extensions`` of an operation that accepts an image.

    The body is only described here; :mod:`geoseg.web.http.uploads` reads it. Otherwise Flask-OpenAPI would read the
    whole form before any check.

    Args:
        others: Schemas of other request bodies by media type.
    """
    image = {
        "type": "object",
        "properties": {
            "file": {"type": "string", "format": "binary", "description": "A GeoTIFF, PNG or JPEG."}
        },
        "required": ["file"],
    }
    content = {"multipart/form-data": {"schema": image}, **others}
    return {"requestBody": {"required": True, "content": content}}


@api.get(
    "/openapi.json",
    summary="This document",
    responses={200: {"description": "OK", "content": {"application/json": {"schema": {"type": "object"}}}}},
)
def document() -> Response:
    """Return the OpenAPI document, with the server URL of this request."""
    found = dict(cast(OpenAPI, current_app).api_doc)
    found["servers"] = [{"url": request.script_root or "/"}]
    return jsonify(found)


@api.get("/", doc_ui=False)
@api.get("/docs", doc_ui=False)
def redirect_to_docs() -> BaseResponse:
    """Redirect a browser to the documentation page."""
    return redirect(f"{request.script_root}{PAGE}")


def install(app: OpenAPI) -> None:
    """Register the document, and make the documentation page use it."""
    app.register_api(api)
    app.view_functions["openapi.doc_url"] = document
