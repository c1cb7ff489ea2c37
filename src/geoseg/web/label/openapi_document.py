"""The OpenAPI document of the labelling page."""

from __future__ import annotations

from typing import Any

from flask_openapi3 import Info
from pydantic import BaseModel

from geoseg import __version__
from geoseg.web.http import problems
from geoseg.web.http.problems import ProblemType
from geoseg.web.label.access import FORBIDDEN_HOST, NO_TOKEN

INFO = Info(
    title="GeoSeg-PointAI: geoseg label",
    version=__version__,
    description="Points, maps and suggestions of a labelling project. One process serves one project on this machine.",
)
SECURITY_SCHEMES: Any = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "The token in the address that was printed.",
    },
    "cookie": {"type": "apiKey", "in": "cookie", "name": "geoseg_label"},
}
SECURITY: list[dict[str, list[Any]]] = [{"bearer": []}, {"cookie": []}]
_COMMON = (
    *(problems.BAD_REQUEST, NO_TOKEN, FORBIDDEN_HOST, problems.METHOD, problems.TOO_LARGE),
    *(problems.BAD_PARAMETER, problems.INTERNAL, problems.DISK_FULL),
)
PNG: dict[str, Any] = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
Responses = dict[str | int, type[BaseModel] | dict[Any, Any] | None]


def responses(
    success: type[BaseModel] | dict[str, Any] | None, *kinds: ProblemType, status: int = 200
) -> Responses:
    """Return the responses of an operation: its success and its problems.

    Args:
        success: Schema of the answer, its content by media type, or None for no content.
        kinds: Problems beside those of all operations.
        status: Status of the success.
    """
    by_status: dict[str, list[ProblemType]] = {}
    for kind in (*_COMMON, *kinds):
        by_status.setdefault(str(kind.status), []).append(kind)
    found: Responses = {
        code: {
            "description": "; ".join(dict.fromkeys(f"{kind.title} (`{kind.type}`)" for kind in same)),
            "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemAnswer"}}},
        }
        for code, same in by_status.items()
    }
    if success is None:
        return {status: {"description": "No content"}, **found}
    if isinstance(success, dict):
        return {status: {"description": "OK", "content": success}, **found}
    return {status: success, **found}


def list_of(name: str) -> dict[str, Any]:
    """Return the content of a JSON list of a schema."""
    return {
        "application/json": {"schema": {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}}
    }


def file_body(**others: dict[str, Any]) -> dict[str, Any]:
    """Return the ``openapi_extensions`` of an operation that receives a file in a form."""
    file = {"type": "string", "format": "binary"}
    form = {"type": "object", "properties": {"file": file, **others}, "required": ["file"]}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}}}
