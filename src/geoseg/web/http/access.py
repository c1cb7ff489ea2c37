"""Who may use an endpoint, and how many bytes a request to it may have: by its address, before its body is read."""

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
    """Say whether an endpoint needs no key: health, and the documentation."""
    return endpoint is not None and (endpoint in _HEALTH or endpoint.startswith(_DOCUMENTATION))


def api_key_text(headers: Headers) -> str:
    """Return the API key that a request sends, or an empty text."""
    kind, _, text = headers.get("Authorization", "").partition(" ")
    return text.strip() if kind.lower() == "bearer" else headers.get("X-API-Key", "")


def prefers_async(headers: Headers) -> bool:
    """Say whether the client wants a job instead of an answer (RFC 7240)."""
    preferences = headers.get("Prefer", "").split(",")
    return any(part.strip().lower() == "respond-async" for part in preferences)


def creates_job(endpoint: str | None, headers: Headers) -> bool:
    """Say whether a request makes a job: ``/v1/jobs``, and ``/v1/predict`` if the client prefers that."""
    return endpoint == _JOBS or (endpoint == _PREDICT and prefers_async(headers))


def max_body_bytes(endpoint: str | None, headers: Headers, settings: ServeSettings) -> int:
    """Return how many bytes a request's body may have: as much as an endpoint for images takes, or little.

    Of the headers only two count. JSON, which is read into memory, may be short. A job may be large, where ``Prefer``
    is a way to ask for one.
    """
    is_json = headers.get("Content-Type", "").partition(";")[0].strip().lower() == "application/json"
    if is_json or endpoint not in _IMAGES:
        return MAX_JSON_BYTES
    mib = settings.max_job_upload_mib if creates_job(endpoint, headers) else settings.max_upload_mib
    return int(mib * MIB)
