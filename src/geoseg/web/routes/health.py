"""Routes for those who operate the service: is it alive, is it ready, what does it count."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from geoseg.web.http import problems
from geoseg.web.http.problems import Problem
from geoseg.web.metrics import CONTENT_TYPE
from geoseg.web.routes.openapi_document import SECURITY, problem_responses
from geoseg.web.routes.payloads import Health
from geoseg.web.service import service

_TAG = Tag(name="operation", description="For those who operate the service")
api = APIBlueprint("health", __name__, abp_tags=[_TAG])


@api.get(
    "/health/live", summary="Whether the process answers", responses={200: Health, **problem_responses()}
)
def live() -> dict[str, str]:
    """Answer, whatever the models do."""
    return {"status": "ok"}


@api.get(
    "/health/ready",
    summary="Whether a model has answered",
    responses={200: Health, **problem_responses(problems.NOT_READY)},
)
def ready() -> dict[str, str]:
    """Answer ok when a model is in memory and has answered once."""
    if not service().registry.is_ready:
        raise Problem(problems.NOT_READY, "No model is loaded yet.", headers={"Retry-After": "5"})
    return {"status": "ok"}


@api.get(
    "/metrics",
    summary="Numbers for Prometheus",
    security=SECURITY,
    responses={
        200: {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem_responses(),
    },
)
def metrics() -> Response:
    """Return requests, latencies by route and stage, batches, pixels, pending predictions, jobs and memory."""
    return Response(service().metrics.render(), content_type=CONTENT_TYPE)
