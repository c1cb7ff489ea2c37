"""Access rules by endpoint: whether it needs an API key, and the largest request body."""

from __future__ import annotations

from werkzeug.datastructures import Headers

from geoseg.settings.serving import ServeSettings

MIB = 1 << 20
MAX_JSON_BYTES = 64 * 1024
_HEALTH = ("health.live", "health.ready")
_DOCUMENTATION = ("docs.", "openapi.", "swagger.")
_JOBS, _PREDICT = "jobs.create_job", "predictions.predict"
_IMAGES = (_JOBS, _PREDICT, "predictions.predict_published")


def is_public_endpoint(endpoint: str | None) -> bool:
    """Return whether an endpoint needs no API key, as health checks and the documentation do not."""
    return endpoint is not None and (endpoint in _HEALTH or endpoint.startswith(_DOCUMENTATION))


def api_key_text(headers: Headers) -> str:
    """Return the API key of a request, or an empty string."""
    kind, _, text = headers.get("Authorization", "").partition(" ")
    return text.strip() if kind.lower() == "bearer" else headers.get("X-API-Key", "")


def prefers_async(headers: Headers) -> bool:
    """Return whether the client asks for a job by ``Prefer: respond-async`` (RFC 7240)."""
    preferences = headers.get("Prefer", "").split(",")
    return any(part.strip().lower() == "respond-async" for part in preferences)


def creates_job(endpoint: str | None, headers: Headers) -> bool:
    """Return whether a request creates a job: ``/v1/jobs``, or ``/v1/predict`` with ``Prefer: respond-async``."""
    return endpoint == _JOBS or (endpoint == _PREDICT and prefers_async(headers))


def max_body_bytes(endpoint: str | None, headers: Headers, settings: ServeSettings) -> int:
    """Return the largest request body in bytes.

    JSON is limited to 64 KiB, because it is read into memory. Uploads that create a job have a larger limit than those
    of predictions.

    Args:
        endpoint: Flask endpoint; None for an unknown path.
        headers: Headers of the request; Content-Type and Prefer matter.
        settings: How models are served.
    """
    is_json = headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/json"
    if is_json or endpoint not in _IMAGES:
        return MAX_JSON_BYTES
    mib = settings.max_job_upload_mib if creates_job(endpoint, headers) else settings.max_upload_mib
    return int(mib * MIB)
