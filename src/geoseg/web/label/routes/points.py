"""The points of the project: read, change, undo, import."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from geoseg.web.http.problems import Problem
from geoseg.web.label.errors import CONFLICT, NOT_USABLE, NOTHING, PageProblem
from geoseg.web.label.openapi_document import SECURITY, file_body, responses
from geoseg.web.label.payloads import (
    Annotator,
    Changes,
    ChangesAnswer,
    ImportAnswer,
    PointsAnswer,
    SinceQuery,
)
from geoseg.web.label.routes.uploads import received_file
from geoseg.web.label.state import session
from geoseg.workflows.labelling.imports import import_points as read_points
from geoseg.workflows.labelling.session import ConflictError, NothingToUndoError

api = APIBlueprint(
    "points", __name__, url_prefix="/v1/project", abp_tags=[Tag(name="points")], abp_security=SECURITY
)


@api.get("/points", summary="Points", responses=responses(PointsAnswer))
def points(query: SinceQuery) -> dict[str, Any]:
    """Return the points that changed after a revision, and the ids of those deleted since."""
    return session().project.points(query.since)


@api.post("/changes", summary="Change points", responses=responses(ChangesAnswer, CONFLICT, NOT_USABLE))
def change(body: Changes) -> dict[str, Any]:
    """Apply all changes in one transaction on disk, or none: 409 names the points that have changed meanwhile."""
    records = [one.model_dump(exclude_unset=True) for one in body.changes]
    return _answered(lambda: session().project.apply(records, body.annotator))


@api.post("/undo", summary="Undo", responses=responses(ChangesAnswer, CONFLICT, NOTHING))
def undo(body: Annotator) -> dict[str, Any]:
    """Undo the last change of an annotator, also after a restart."""
    return _answered(lambda: session().project.undo(body.annotator))


@api.post("/redo", summary="Redo", responses=responses(ChangesAnswer, CONFLICT, NOTHING))
def redo(body: Annotator) -> dict[str, Any]:
    """Redo what an annotator undid last."""
    return _answered(lambda: session().project.redo(body.annotator))


@api.post(
    "/points/import",
    summary="Import points",
    openapi_extensions=file_body(class_column={"type": "string"}, annotator={"type": "string"}),
    responses=responses(ImportAnswer, CONFLICT, NOT_USABLE),
)
def import_points() -> dict[str, Any]:
    """Add the points of a file. Lines and polygons give up to ten points each."""
    with received_file() as (path, form):
        column, annotator = (
            form.get(name, "").strip()[:100] or None for name in ("class_column", "annotator")
        )
        return _answered(
            lambda: read_points(session().project, path, class_column=column, annotator=annotator)
        )


def _answered(act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return act()
    except ConflictError as error:
        conflicts = session().project.conflict_records(error)
        detail = f"{len(conflicts)} point(s) have been changed by someone else. Nothing was changed now."
        raise PageProblem(CONFLICT, detail, members={"conflicts": conflicts}) from error
    except NothingToUndoError as error:
        raise Problem(NOTHING, "There is no change of this annotator to undo or redo.") from error
