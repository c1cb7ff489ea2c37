"""The project and its classes."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify
from flask_openapi3 import APIBlueprint, Tag

from geoseg.web.label.errors import CONFLICT, NOT_USABLE, PageProblem
from geoseg.web.label.openapi_document import SECURITY, file_body, list_of, responses
from geoseg.web.label.payloads import (
    ClassAnswer,
    ClassChange,
    ClassPath,
    NewClass,
    ProjectAnswer,
    ProjectChange,
    RevisionQuery,
)
from geoseg.web.label.routes.uploads import received_file
from geoseg.web.label.state import session
from geoseg.workflows.labelling.imports import import_classes as read_scheme
from geoseg.workflows.labelling.session import ClassConflictError

api = APIBlueprint(
    "classes", __name__, url_prefix="/v1/project", abp_tags=[Tag(name="project")], abp_security=SECURITY
)


@api.get("", summary="The project", responses=responses(ProjectAnswer))
def project() -> dict[str, Any]:
    """Return rasters, classes and model of the project."""
    return session().describe()


@api.patch("", summary="Change the project", responses=responses(ProjectAnswer, NOT_USABLE))
def change_project(body: ProjectChange) -> dict[str, Any]:
    """Change name, annotator or display, and return the project."""
    display = None if body.display is None else {key: one.model_dump() for key, one in body.display.items()}
    session().project.change_settings(name=body.name, annotator=body.annotator, display=display)
    return session().describe()


@api.post("/classes", summary="Add a class", responses=responses(ClassAnswer, NOT_USABLE))
def add_class(body: NewClass) -> dict[str, Any]:
    """Add a class. A class of the same name is returned as it is, with the new colour if one is given."""
    classes = session().project.add_classes([(body.name, body.color)])
    plain = " ".join(body.name.split()).casefold()
    return next(one for one in classes if one["name"].casefold() == plain)


@api.patch(
    "/classes/<int:class_id>",
    summary="Change a class",
    responses=responses(ClassAnswer, CONFLICT, NOT_USABLE),
)
def change_class(path: ClassPath, body: ClassChange) -> dict[str, Any]:
    """Rename a class, or change its colour or key. Points follow the name."""
    try:
        return session().project.change_class(
            path.class_id, body.revision, name=body.name, color=body.color, key=body.key
        )
    except ClassConflictError as error:
        raise _class_conflict(error) from error


@api.delete(
    "/classes/<int:class_id>",
    summary="Delete a class without points",
    responses=responses(None, CONFLICT, status=204),
)
def delete_class(path: ClassPath, query: RevisionQuery) -> Response:
    """Delete a class that no point has."""
    try:
        session().project.delete_class(path.class_id, query.revision)
    except ClassConflictError as error:
        raise _class_conflict(error) from error
    return Response(status=204)


@api.post(
    "/classes/import",
    summary="Import classes",
    openapi_extensions=file_body(),
    responses=responses(list_of("ClassAnswer"), NOT_USABLE),
)
def import_classes() -> Response:
    """Add the classes of a legend (JSON), a CSV with columns name and color, or a QML style; return all classes."""
    with received_file() as (path, _):
        return jsonify(read_scheme(session().project, path))


def _class_conflict(error: ClassConflictError) -> PageProblem:
    current = None if error.current is None else vars(error.current)
    text = str(error)
    return PageProblem(CONFLICT, f"{text[:1].upper()}{text[1:]}.", members={"current": current})
