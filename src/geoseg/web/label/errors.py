"""Turn errors of the labelling page into problem responses."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import HTTPException

from geoseg.errors import GeoSegError, OutputError, RasterError
from geoseg.web.error_handlers import answer
from geoseg.web.http import problems
from geoseg.web.http.problems import Problem, ProblemType

LOG = logging.getLogger("geoseg.label")
CONFLICT = ProblemType("conflict", 409, "The project has changed meanwhile")
NOTHING = ProblemType("nothing-to-undo", 409, "There is nothing to undo or redo")
NOT_USABLE = ProblemType("not-usable", 422, "The request cannot be carried out")
NOT_READY = ProblemType("not-ready", 422, "More points or features are needed first")
_BY_STATUS = {
    400: problems.BAD_REQUEST,
    404: problems.NOT_FOUND,
    405: problems.METHOD,
    413: problems.TOO_LARGE,
    415: problems.UNSUPPORTED,
    416: problems.RANGE,
}


@dataclass
class PageProblem(Problem):
    """A problem with further members, such as the conflicts of a change."""

    members: dict[str, Any] = field(default_factory=dict)

    def body(self, instance: str) -> dict[str, Any]:
        """Return the members of the JSON object."""
        return {**super().body(instance), **self.members}


def install(app: Flask) -> None:
    """Register the error handlers of an app."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, _handle_http)
    app.register_error_handler(GeoSegError, _handle_geoseg)
    app.register_error_handler(Exception, _handle_unexpected)


def _handle_http(error: HTTPException) -> ResponseReturnValue:
    code = error.code or 500
    if code < 400:
        return error.get_response()
    kind = _BY_STATUS.get(code)
    return answer(Problem(kind, f"{kind.title}.")) if kind else _handle_unexpected(error)


def _handle_geoseg(error: GeoSegError) -> Response:
    """The user of the page owns the files, so the message may name them."""
    if isinstance(error, OutputError):
        return answer(Problem(problems.DISK_FULL, str(error)))
    kind = problems.BAD_IMAGE if isinstance(error, RasterError) else NOT_USABLE
    return answer(Problem(kind, str(error)))


def _handle_unexpected(error: Exception) -> Response:
    LOG.error("unexpected fault at %s %s", request.method, request.path, exc_info=error)
    return answer(
        Problem(problems.INTERNAL, "The page failed. The terminal that runs geoseg label shows the cause.")
    )
