"""Turn errors of the routes, of Flask and of libraries into problem responses (RFC 9457)."""

from __future__ import annotations

import errno
import json
import logging
from typing import cast

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestedRangeNotSatisfiable

from geoseg.errors import GeoSegError, OutputError, RasterError
from geoseg.web.http import problems
from geoseg.web.http.access import MIB, creates_job, max_body_bytes
from geoseg.web.http.problems import Problem, ProblemType
from geoseg.web.http.uploads import FIELD, raster_problem
from geoseg.web.service import service

LOG = logging.getLogger("geoseg.faults")
_DISK_FULL_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FAILED = "The service failed. Its log has the cause under the id of this request."
_DISK_FULL = "The service cannot write to its disk. Its operator has to free disk space."
_BY_STATUS = {
    400: (problems.BAD_REQUEST, "The request cannot be understood."),
    404: (problems.NOT_FOUND, "There is no such path; /openapi.json lists all paths."),
    405: (problems.METHOD, "This path does not support this method."),
    415: (problems.UNSUPPORTED, "This path does not accept this media type."),
    416: (problems.RANGE, "The range is outside the file."),
}


_PLAIN_TEXTS = {
    "extra_forbidden": "there is no such parameter",
    "bool_parsing": "expected true or false",
    "float_parsing": "expected a number",
    "string_type": "expected a text",
    "model_type": "expected a JSON object",
}


def install(app: Flask) -> None:
    """Register the error handlers of an app."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, _handle_http)
    app.register_error_handler(GeoSegError, _handle_geoseg)
    app.register_error_handler(OSError, _handle_os)
    app.register_error_handler(Exception, _handle_unexpected)


def answer(problem: Problem) -> Response:
    """Return the response for a problem."""
    body = problem.body(f"urn:geoseg:request:{g.get('request_id', '')}")
    response = Response(json.dumps(body), status=problem.kind.status, mimetype=problems.MEDIA_TYPE)
    response.headers.update(problem.headers)
    return response


def answer_validation_error(error: ValidationError) -> Response:
    """Return the response for invalid parameters of a request."""
    return answer(parameter_problem(error))


def parameter_problem(error: ValidationError) -> Problem:
    """Return the problem for invalid parameters, with the error of each field."""
    faults = [
        {"field": str(fault["loc"][0]) if fault["loc"] else "body", "detail": _plain_text(fault)}
        for fault in error.errors()
    ]
    summary = "; ".join(dict.fromkeys(f"{fault['field']}: {fault['detail']}" for fault in faults))
    return Problem(problems.BAD_PARAMETER, f"Invalid parameter: {summary}.", errors=faults)


def _plain_text(fault: ErrorDetails) -> str:
    """Return an error of pydantic in plain words."""
    text = fault["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return _PLAIN_TEXTS.get(fault["type"], text[:1].lower() + text[1:])


def _handle_http(error: HTTPException) -> ResponseReturnValue:
    if error.response is not None:
        return cast(Response, error.response)
    if isinstance(error, ClientDisconnected):
        return answer(
            Problem(problems.BAD_REQUEST, "The connection ended before the request body was complete.")
        )
    code = error.code or 500
    if code < 400:
        return error.get_response()
    if code == problems.TOO_LARGE.status:
        return answer(_too_large())
    if code not in _BY_STATUS:
        return _handle_unexpected(error)
    kind, detail = _BY_STATUS[code]
    headers = dict[str, str]()
    if allowed := ", ".join(sorted(getattr(error, "valid_methods", None) or ())):
        headers["Allow"], detail = allowed, f"This path supports {allowed} only."
    if isinstance(error, RequestedRangeNotSatisfiable) and error.length is not None:
        headers["Content-Range"] = f"{error.units} */{error.length}"
    return answer(Problem(kind, detail, headers=headers))


def _too_large() -> Problem:
    """Return the problem that names the limit of the endpoint and, for larger rasters, the jobs."""
    settings, headers = service().settings, request.headers
    limit = request.max_content_length or max_body_bytes(request.endpoint, headers, settings)
    if request.content_length is not None and request.content_length <= limit:
        detail = f"The form has too many fields, or a field that is too long. Send one file in the field {FIELD!r}."
        return Problem(problems.TOO_LARGE, detail)
    size = f"{limit / MIB:.4g} MiB" if limit >= MIB else f"{limit / 1024:.4g} KiB"
    detail = f"The request body is larger than {size}, the limit of this path."
    if limit == int(settings.max_upload_mib * MIB) and not creates_job(request.endpoint, headers):
        detail += (
            f" Send larger rasters as jobs (POST /v1/jobs), which take {settings.max_job_upload_mib:g} MiB."
        )
    return Problem(problems.TOO_LARGE, detail)


def _handle_geoseg(error: GeoSegError) -> Response:
    if isinstance(error, RasterError):
        return answer(raster_problem(error))
    LOG.error("fault", extra={"request_id": g.get("request_id"), "fault": str(error)})
    kind, detail = _server_problem(error)
    return answer(Problem(kind, detail, headers={"Retry-After": "30"}))


def _handle_os(error: OSError) -> Response:
    """Return a problem for a full disk; treat any other error as unexpected."""
    if error.errno not in _DISK_FULL_ERRNOS:
        return _handle_unexpected(error)
    LOG.error("disk full", extra={"request_id": g.get("request_id"), "fault": error.strerror})
    return answer(Problem(problems.DISK_FULL, _DISK_FULL, headers={"Retry-After": "30"}))


def _server_problem(error: GeoSegError) -> tuple[ProblemType, str]:
    if isinstance(error, OutputError):
        return problems.DISK_FULL, _DISK_FULL
    return problems.INTERNAL, _FAILED


def _handle_unexpected(error: Exception) -> Response:
    LOG.error(
        "unexpected fault",
        exc_info=error,
        extra={"request_id": g.get("request_id"), "path": request.path},
    )
    return answer(Problem(problems.INTERNAL, _FAILED))
