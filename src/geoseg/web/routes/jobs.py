"""Routes of jobs."""

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
PROBLEMS = (
    *(
        problems.NO_MODEL,
        problems.TOO_LARGE,
        problems.UNSUPPORTED,
        problems.BAD_IMAGE,
    ),
    *(problems.FORBIDDEN_SOURCE, problems.QUOTA, problems.DISK_FULL, problems.NOT_READY),
)
_JOB_PROBLEMS = problem_responses(problems.NO_JOB)
api = APIBlueprint("jobs", __name__, abp_tags=[_TAG], abp_security=SECURITY)


@api.post(
    "/v1/jobs",
    summary="Create a job",
    responses={
        202: success_response(
            "The job is created.", {_JSON: schema_ref("JobAnswer")}, Location="Path of the job."
        ),
        **problem_responses(*PROBLEMS),
    },
    openapi_extensions=image_request_body(**{_JSON: schema_ref("JobSource")}),
)
def create_job(query: JobQuery) -> Response:
    """Create a job for an uploaded raster, or for the URL or path of a raster that the service may read."""
    return accept_job(query)


@api.get("/v1/jobs", summary="All jobs of this key", responses={200: JobsAnswer, **problem_responses()})
def list_jobs() -> dict[str, Any]:
    """Return the jobs of this key, the newest first."""
    return {"jobs": [_describe(job) for job in service().jobs.jobs() if job.request.owner == _owner()]}


@api.get("/v1/jobs/<string:job_id>", summary="State of a job", responses={200: JobAnswer, **_JOB_PROBLEMS})
def show_job(path: JobPath) -> dict[str, Any]:
    """Return the state, progress, remaining time and failure of a job."""
    return _describe(_job(path.job_id))


@api.delete(
    "/v1/jobs/<string:job_id>",
    summary="Cancel a job, or remove a finished job",
    responses={
        202: success_response("The job stops at its next window.", {_JSON: schema_ref("JobAnswer")}),
        204: {"description": "The job and its results are removed."},
        **problem_responses(problems.NO_JOB, problems.CONFLICT),
    },
)
def delete_job(path: JobPath) -> Response:
    """Cancel a queued or running job; remove a finished job and its results."""
    jobs, job = service().jobs, _job(path.job_id)
    if job.is_over:
        if not jobs.delete(job.id):
            raise Problem(
                problems.CONFLICT, "The job is just finishing; try again.", headers={"Retry-After": "1"}
            )
        return Response(status=204)
    job = jobs.cancel(job.id) or job
    return _answer(job, 202)


@api.get(
    "/v1/jobs/<string:job_id>/results",
    summary="Results of a job",
    responses={200: ResultsAnswer, **problem_responses(problems.NO_JOB, problems.CONFLICT)},
)
def list_results(path: JobPath) -> dict[str, Any]:
    """Return the result files of a job that is done."""
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
    summary="Result file of a job",
    responses={
        200: success_response("The file.", {"*/*": BINARY}),
        206: success_response("The requested range.", {"*/*": BINARY}),
        304: {"description": "The file has not changed."},
        412: {"description": "A condition of the request is not met."},
        **problem_responses(problems.NO_JOB, problems.NO_RESULT, problems.CONFLICT, problems.RANGE),
    },
)
def get_result(path: ResultPath) -> Response:
    """Return a result file or the requested range of it, as readers of Cloud Optimized GeoTIFF need."""
    jobs, job = service().jobs, _done(path.job_id)
    found = next((r for r in jobs.results(job.id) if r.name == path.result), None)
    if request.range is None or request.range.units != "bytes" or len(request.range.ranges) != 1:
        request.environ.pop("HTTP_RANGE", None)  # Ignore unsupported ranges (RFC 9110).
    missing = Problem(
        problems.NO_RESULT, "This job has no result with this name; /results lists its results."
    )
    if found is None:
        raise missing
    file = jobs.map_path(job.id).with_name(found.name)
    try:
        response = send_file(file, mimetype=found.media_type, conditional=True, download_name=found.name)
    except FileNotFoundError as error:  # Removed meanwhile.
        raise missing from error
    response.headers["Accept-Ranges"] = "bytes"
    response.headers["Cache-Control"] = "private"
    return response


def accept_job(query: JobQuery) -> Response:
    """Create a job from the current request, and return response 202.

    Raises:
        Problem: The job cannot be created.
    """
    current = service()
    name = current.registry.usable_name(query.model)
    check_free_space(current.jobs, current.settings, incoming_bytes=announced_bytes())
    options = JobOptions(products=tuple(query.also), **query.model_dump(exclude={"model", "also"}))
    has_source = request.mimetype == _JSON
    job = (_from_source if has_source else _from_upload)(current, name, options)
    g.model = name
    response = _answer(job, 202)
    response.headers["Location"] = url_for("jobs.show_job", job_id=job.id)
    return response


def _from_upload(current: Service, model: str, options: JobOptions) -> Job:
    limits = current.settings
    with (
        received_image(max_pixels=limits.max_job_pixels, max_bands=_most_bands(current, model)) as image,
        new_job(current.jobs, current.queue) as draft,
        pixels_charged(image.header.pixels, draft.id),
    ):
        image.path.replace(draft.create_input(image.path.suffix))
        return draft.submit(JobRequest(owner=_owner(), model=model, options=options))


def _from_source(current: Service, model: str, options: JobOptions) -> Job:
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
    reference = source.url or source.path or ""
    check_source(reference, current.settings)
    with ExitStack() as stack:
        draft = stack.enter_context(new_job(current.jobs, current.queue))
        # The worker charges the pixels of a URL after the download.
        if not is_url(reference):
            path, limits = allowed_path(reference, current.settings.allow_folders), current.settings
            bands = _most_bands(current, model)
            header = check_header(path, max_pixels=limits.max_job_pixels, max_bands=bands)
            stack.enter_context(pixels_charged(header.pixels, draft.id))
        return draft.submit(JobRequest(owner=_owner(), model=model, options=options, source=reference))


def _most_bands(current: Service, model: str) -> int:
    return current.registry.most_bands(model, current.settings.max_bands)


def _owner() -> str | None:
    return None if g.key is None else g.key.id


def _job(job_id: str) -> Job:
    """Return a job of this key.

    Raises:
        Problem: The job does not exist, or belongs to another key.
    """
    job = service().jobs.get(job_id)
    if job is None or job.request.owner != _owner():
        raise Problem(problems.NO_JOB, "There is no such job. Finished jobs are removed after some time.")
    return job


def _done(job_id: str) -> Job:
    job = _job(job_id)
    if job.state != "done":
        raise Problem(problems.CONFLICT, f"The job is {job.state}. It has results only when it is done.")
    return job


def _answer(job: Job, status: int) -> Response:
    return Response(json.dumps(_describe(job)), status=status, mimetype=_JSON)


def _describe(job: Job) -> dict[str, Any]:
    record = job.model_dump(mode="json", exclude={"request", "problem"})
    described = job.request.model_dump(mode="json", exclude={"owner", "source"})
    kind = next(
        (k for k in problems.PROBLEM_TYPES if job.problem is not None and k.slug == job.problem.slug), None
    )
    problem = job.problem and kind and Problem(kind, job.problem.detail).body(f"urn:geoseg:job:{job.id}")
    links = {
        "self": url_for("jobs.show_job", job_id=job.id),
        "results": url_for("jobs.list_results", job_id=job.id),
    }
    answer = JobAnswer.model_validate(
        {**record, **described["options"], "model": described["model"], "problem": problem, "links": links}
    )
    return answer.model_dump(mode="json")
