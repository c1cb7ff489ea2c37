"""Routes of jobs: large rasters, mapped by workers."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

from flask import Response, g, request, send_file, url_for
from flask_openapi3 import APIBlueprint, Tag
from pydantic import ValidationError
from werkzeug.exceptions import BadRequest, ClientDisconnected

from geoseg.web.error_handlers import parameter_problem
from geoseg.web.http import problems
from geoseg.web.http.problems import Problem
from geoseg.web.http.uploads import announced_bytes, check_header, received_image
from geoseg.web.jobs.delivery import new_job
from geoseg.web.jobs.expiry import check_free_space
from geoseg.web.jobs.records import Job, JobOptions, JobRequest
from geoseg.web.jobs.sources import allowed_path, check_source, is_url
from geoseg.web.request_hooks import pixels_charged
from geoseg.web.routes.openapi_document import (
    BINARY,
    SECURITY,
    image_request_body,
    problem_responses,
    schema_ref,
    success_response,
)
from geoseg.web.routes.payloads import (
    JobAnswer,
    JobPath,
    JobQuery,
    JobsAnswer,
    JobSource,
    ResultPath,
    ResultsAnswer,
)
from geoseg.web.service import Service, service

_JSON = "application/json"
_TAG = Tag(name="jobs", description="Large rasters, mapped by workers")
FAULTS = (
    *(
        problems.NO_MODEL,
        problems.TOO_LARGE,
        problems.UNSUPPORTED,
        problems.BAD_IMAGE,
    ),
    *(problems.FORBIDDEN_SOURCE, problems.QUOTA, problems.DISK_FULL, problems.NOT_READY),
)
_OF_A_JOB = problem_responses(problems.NO_JOB)
api = APIBlueprint("jobs", __name__, abp_tags=[_TAG], abp_security=SECURITY)


@api.post(
    "/v1/jobs",
    summary="Make a job",
    responses={
        202: success_response(
            "The job is made.", {_JSON: schema_ref("JobAnswer")}, Location="Where it tells of itself."
        ),
        **problem_responses(*FAULTS),
    },
    openapi_extensions=image_request_body(**{_JSON: schema_ref("JobSource")}),
)
def create_job(query: JobQuery) -> Response:
    """Take a raster, or the address or path of one that the service may read, and map it when a worker is free."""
    return accept_job(query)


@api.get("/v1/jobs", summary="All jobs of this key", responses={200: JobsAnswer, **problem_responses()})
def list_jobs() -> dict[str, Any]:
    """Return the jobs, the newest first."""
    return {"jobs": [_describe(job) for job in service().jobs.jobs() if job.order.owner == _owner()]}


@api.get("/v1/jobs/<string:job_id>", summary="How a job stands", responses={200: JobAnswer, **_OF_A_JOB})
def show_job(path: JobPath) -> dict[str, Any]:
    """Return a job's state, progress, time left, and what went wrong."""
    return _describe(_job(path.job_id))


@api.delete(
    "/v1/jobs/<string:job_id>",
    summary="Cancel a job, or remove one that is over",
    responses={
        202: success_response("It stops at its next window.", {_JSON: schema_ref("JobAnswer")}),
        204: {"description": "It is gone, with its results."},
        **problem_responses(problems.NO_JOB, problems.CONFLICT),
    },
)
def delete_job(path: JobPath) -> Response:
    """Cancel a job that waits or runs; remove one that is over, and its results."""
    jobs, job = service().jobs, _job(path.job_id)
    if job.is_over:
        if not jobs.delete(job.id):
            raise Problem(
                problems.CONFLICT, "The job is being closed; try again.", headers={"Retry-After": "1"}
            )
        return Response(status=204)
    job = jobs.cancel(job.id) or job
    return _answer(job, 202)


@api.get(
    "/v1/jobs/<string:job_id>/results",
    summary="What a job made",
    responses={200: ResultsAnswer, **problem_responses(problems.NO_JOB, problems.CONFLICT)},
)
def list_results(path: JobPath) -> dict[str, Any]:
    """Return the files of a job that is done."""
    job = _done(path.job_id)
    return {
        "results": [
            {
                "name": found.name,
                "bytes": found.size,
                "media_type": found.media_type,
                "href": url_for("jobs.get_result", job_id=job.id, result=found.name),
            }
            for found in service().jobs.results(job.id)
        ]
    }


@api.get(
    "/v1/jobs/<string:job_id>/results/<string:result>",
    summary="One file that a job made",
    responses={
        200: success_response("The file.", {"*/*": BINARY}),
        206: success_response("The part that Range asks for.", {"*/*": BINARY}),
        304: {"description": "It has not changed."},
        412: {"description": "A condition of the request is not met."},
        **problem_responses(problems.NO_JOB, problems.NO_RESULT, problems.CONFLICT, problems.RANGE),
    },
)
def get_result(path: ResultPath) -> Response:
    """Return a file, or the range of it that is asked for, as programs read Cloud Optimized GeoTIFFs."""
    jobs, job = service().jobs, _done(path.job_id)
    found = next((r for r in jobs.results(job.id) if r.name == path.result), None)
    if request.range is None or request.range.units != "bytes" or len(request.range.ranges) != 1:
        request.environ.pop("HTTP_RANGE", None)  # Ranges that are not understood are ignored (RFC 9110).
    missing = Problem(problems.NO_RESULT, "This job made no file of this name; /results lists them.")
    if found is None:
        raise missing
    file = jobs.map_path(job.id).with_name(found.name)
    try:
        response = send_file(file, mimetype=found.media_type, conditional=True, download_name=found.name)
    except FileNotFoundError as error:  # It has just been removed.
        raise missing from error
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private"
    return response


def accept_job(query: JobQuery) -> Response:
    """Make a job of the present request, and answer 202.

    Raises:
        Problem: It cannot be made.
    """
    here = service()
    name = here.registry.usable_name(query.model)
    check_free_space(here.jobs, here.settings, incoming_bytes=announced_bytes())
    wish = JobOptions(
        products=tuple(query.also),
        min_area=query.min_area,
        simplify=query.simplify,
        resample=query.resample,
        tta=query.tta,
        nodata=query.nodata,
        strict_nodata=query.strict_nodata,
        any_values=query.any_values,
    )
    is_elsewhere = request.mimetype == _JSON
    job = (_from_elsewhere if is_elsewhere else _from_upload)(here, name, wish)
    g.model = name
    response = _answer(job, 202)
    response.headers["Location"] = url_for("jobs.show_job", job_id=job.id)
    return response


def _from_upload(here: Service, model: str, wish: JobOptions) -> Job:
    limits = here.settings
    with (
        received_image(max_pixels=limits.max_job_pixels, max_bands=limits.max_bands) as image,
        new_job(here.jobs, here.queue) as draft,
        pixels_charged(image.header.pixels, draft.id),
    ):
        image.path.replace(draft.create_input(image.path.suffix))
        return draft.submit(JobRequest(owner=_owner(), model=model, wish=wish))


def _from_elsewhere(here: Service, model: str, wish: JobOptions) -> Job:
    try:
        source = JobSource.model_validate(request.get_json())
    except ValidationError as error:
        raise parameter_problem(error) from error
    except BadRequest as error:
        if isinstance(error, ClientDisconnected):
            raise
        detail = 'The body is not JSON. Send {"url": "https://..."} or {"path": "/..."}, in UTF-8.'
        raise Problem(problems.BAD_REQUEST, detail) from error
    except RecursionError as error:
        raise Problem(problems.BAD_REQUEST, "The JSON is nested too deeply.") from error
    place = source.url or source.path or ""
    check_source(place, here.settings)
    with ExitStack() as stack:
        draft = stack.enter_context(new_job(here.jobs, here.queue))
        if not is_url(place):  # The worker counts the pixels of an address when it has fetched the raster.
            path, limits = allowed_path(place, here.settings.allow_folders), here.settings
            header = check_header(path, max_pixels=limits.max_job_pixels, max_bands=limits.max_bands)
            stack.enter_context(pixels_charged(header.pixels, draft.id))
        return draft.submit(JobRequest(owner=_owner(), model=model, wish=wish, source=place))


def _owner() -> str | None:
    return None if g.key is None else g.key.id


def _job(job_id: str) -> Job:
    """Return a job of this key; those of others are not there."""
    job = service().jobs.get(job_id)
    if job is None or job.order.owner != _owner():
        raise Problem(problems.NO_JOB, "There is no such job; jobs that are over are removed in the end.")
    return job


def _done(job_id: str) -> Job:
    job = _job(job_id)
    if job.state != "done":
        raise Problem(problems.CONFLICT, f"The job is {job.state}. It has results when it is done.")
    return job


def _answer(job: Job, status: int) -> Response:
    return Response(json.dumps(_describe(job)), status=status, mimetype=_JSON)


def _describe(job: Job) -> dict[str, Any]:
    said = job.model_dump(mode="json", exclude={"order", "problem"})
    order = job.order.model_dump(mode="json", exclude={"owner", "source"})
    kind = next(
        (k for k in problems.PROBLEM_TYPES if job.problem is not None and k.slug == job.problem.slug), None
    )
    problem = job.problem and kind and Problem(kind, job.problem.detail).body(f"urn:geoseg:job:{job.id}")
    links = {
        "self": url_for("jobs.show_job", job_id=job.id),
        "results": url_for("jobs.list_results", job_id=job.id),
    }
    answer = JobAnswer.model_validate(
        {**said, **order["wish"], "model": order["model"], "problem": problem, "links": links}
    )
    return answer.model_dump(mode="json")
