"""Routes for operators: health checks and metrics."""

from __future__ import annotations

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from geoseg.web.http import problems
from geoseg.web.http.problems import Problem
from geoseg.web.metrics import CONTENT_TYPE
from geoseg.web.routes.openapi_document import SECURITY, problem_responses
from geoseg.web.routes.payloads import Health
from geoseg.web.service import service

_TAG = Tag(name="operation", description="Health checks and metrics")
api = APIBlueprint("health", __name__, abp_tags=[_TAG])


@api.get(
    "/health/live", summary="Check that the process responds", responses={200: Health, **problem_responses()}
)
def live() -> dict[str, str]:
    """Return ok, even if no model is loaded."""
    return {"status": "ok"}


@api.get(
    "/health/ready",
    summary="Check that a model is loaded",
    responses={200: Health, **problem_responses(problems.NOT_READY)},
)
def ready() -> dict[str, str]:
    """Return ok when at least one model is loaded."""
    if not service().registry.is_ready:
        raise Problem(problems.NOT_READY, "No model is loaded yet.", headers={"Retry-After": "5"})
    return {"status": "ok"}


@api.get(
    "/metrics",
    summary="Prometheus metrics",
    security=SECURITY,
    responses={
        200: {"description": "OK", "content": {"text/plain": {"schema": {"type": "string"}}}},
        **problem_responses(),
    },
)
def metrics() -> Response:
    """Return request counts, latencies by route and stage, batches, pixels, pending predictions, jobs and memory."""
    return Response(service().metrics.render(), content_type=CONTENT_TYPE)
