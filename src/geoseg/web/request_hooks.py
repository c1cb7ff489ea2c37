"""Hooks before and after each request: request id, API key, limits, headers, log line and metrics."""

from __future__ import annotations

import logging
import math
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from flask import Flask, Response, g, request
from werkzeug.exceptions import RequestEntityTooLarge

from geoseg.errors import OutputError
from geoseg.web.auth.keys import Key, KeyStore
from geoseg.web.http.access import api_key_text, is_public_endpoint, max_body_bytes
from geoseg.web.http.problems import KEYS_DOWN, NO_KEY, QUOTA, RATE_LIMIT, Problem
from geoseg.web.metrics import resident_bytes
from geoseg.web.service import service

LOG = logging.getLogger("geoseg.requests")
REQUEST_ID = "X-Request-ID"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
# Forbid framing, MIME sniffing and resources from other origins.
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
}
# The documentation page runs scripts from this server only.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "font-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
_METHODS = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
_DOCS_ENDPOINTS = ("openapi.", "swagger.")


def install(app: Flask) -> None:
    """Register the hooks of an app."""
    app.before_request(_before_request)
    app.after_request(_after_request)


def _before_request() -> Response | None:
    own = request.headers.get(REQUEST_ID, "")
    g.request_id = own if _REQUEST_ID.fullmatch(own) else secrets.token_hex(8)
    g.began, g.key = time.monotonic(), None
    current = service()
    if request.method == "OPTIONS" and request.headers.get("Access-Control-Request-Method"):
        return Response(status=204)
    if current.keys is not None and not is_public_endpoint(request.endpoint):
        with _key_store_errors():
            g.key = _authenticate(current.keys)
            _check_rate(current.keys, g.key)
    request.max_content_length = max_body_bytes(request.endpoint, request.headers, current.settings)
    if (request.content_length or 0) > request.max_content_length:
        raise RequestEntityTooLarge
    return None


def _authenticate(keys: KeyStore) -> Key:
    """Return the API key of the request.

    Raises:
        Problem: The key is missing, unknown or revoked.
    """
    text = api_key_text(request.headers)
    key = keys.check(text) if text else None
    if key is not None:
        return key
    # Only the owner of the secret learns that a key has been revoked.
    if text and keys.is_revoked(text):
        detail = "This API key has been revoked. Ask the operator of the service for a new key."
    elif text:
        detail = "This API key is unknown. Check that you copied the whole key, and that it belongs to this service."
    else:
        detail = "Send an API key as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'."
    raise Problem(NO_KEY, detail, headers={"WWW-Authenticate": 'Bearer realm="geoseg"'})


def _check_rate(keys: KeyStore, key: Key) -> None:
    wait = keys.count_request(key)
    if wait is not None:
        seconds = str(math.ceil(wait))
        detail = f"This key may make {key.per_minute} requests per minute; try again in {seconds} s."
        raise Problem(RATE_LIMIT, detail, headers={"Retry-After": seconds})


@contextmanager
def pixels_charged(pixels: int, job_id: str | None = None) -> Iterator[None]:
    """Charge pixels to the quota of the API key; refund them if the block fails.

    Args:
        pixels: Height times width of the image.
        job_id: Job to charge, which keeps the record of the charge; None: this request.

    Raises:
        Problem: The quota is used up.
    """
    g.pixels = pixels
    key, keys = g.key, service().keys
    if key is None or keys is None:
        yield
        return
    reference = job_id or f"request {secrets.token_hex(16)}"
    with _key_store_errors():
        wait = keys.charge_pixels(key, pixels, reference)
    if wait is not None:
        detail = f"This key may map {key.pixels_per_day} pixels per day; this image has {pixels}."
        raise Problem(QUOTA, detail, headers={"Retry-After": str(math.ceil(wait))})
    try:
        yield
    except BaseException:
        with _key_store_errors():
            keys.refund_pixels(reference)
        raise
    if job_id is None:
        with suppress(OutputError):  # The map exists; a leftover record does no harm.
            keys.delete_charge(reference)


@contextmanager
def _key_store_errors() -> Iterator[None]:
    """Turn errors of the key store into a problem.

    Raises:
        Problem: The key store cannot be used.
    """
    try:
        yield
    except OutputError as error:
        LOG.error("keys cannot be checked", extra={"request_id": g.request_id, "fault": str(error)})
        detail = "The service cannot check API keys. Its operator has to repair the key store."
        raise Problem(KEYS_DOWN, detail, headers={"Retry-After": "30"}) from error


def _after_request(response: Response) -> Response:
    endpoint, current = request.endpoint or "", service()
    response.headers[REQUEST_ID] = g.get("request_id", "")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    if endpoint.startswith(_DOCS_ENDPOINTS):
        response.headers["Content-Security-Policy"] = _DOCS_POLICY
    _allow_origin(response, current.settings.cors_origins)
    seconds = time.monotonic() - g.get("began", time.monotonic())
    route = str(request.url_rule) if request.url_rule else "none"
    # Unknown methods must not create new time series.
    method = request.method if request.method in _METHODS else "other"
    current.metrics.requests.labels(route, method, str(response.status_code)).inc()
    current.metrics.memory.set(resident_bytes())
    current.metrics.seconds.labels(route).observe(seconds)
    LOG.info(
        "request",
        extra={
            "request_id": g.get("request_id"),
            "method": request.method,
            "path": request.path,
            "status": response.status_code,
            "seconds": round(seconds, 4),
            "key": g.key.id if g.get("key") else None,
            "model": g.get("model"),
            "pixels": g.get("pixels"),
        },
    )
    return response


def _allow_origin(response: Response, origins: tuple[str, ...]) -> None:
    """Add the CORS headers for allowed origins."""
    origin = request.headers.get("Origin")
    if not origin or not ("*" in origins or origin in origins):
        return
    response.headers["Access-Control-Allow-Origin"] = "*" if "*" in origins else origin
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    response.headers["Access-Control-Expose-Headers"] = (
        f"{REQUEST_ID}, Location, Retry-After, X-Model, X-Model-Version"
    )
    response.vary.add("Origin")
    if request.method == "OPTIONS":
        response.headers["Access-Control-Allow-Methods"] = "GET, POST, DELETE"
        response.headers["Access-Control-Allow-Headers"] = (
            "Authorization, X-API-Key, Content-Type, Accept, Prefer, X-Request-ID"
        )
        response.headers["Access-Control-Max-Age"] = "600"
