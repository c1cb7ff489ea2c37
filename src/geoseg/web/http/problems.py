"""Problem responses: ``application/problem+json`` (RFC 9457), each with a stable type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/problem+json"
_NAMESPACE = "urn:geoseg:problem:"


@dataclass(frozen=True)
class ProblemType:
    """A problem type: the last part of its URN, its status and its title."""

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """URN of the problem type."""
        return _NAMESPACE + self.slug


BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be understood")
BAD_IMAGE = ProblemType("bad-image", 422, "The image cannot be used")
BAD_PARAMETER = ProblemType("bad-parameter", 422, "Invalid parameter")
BUSY = ProblemType("busy", 503, "The service is busy")
CONFLICT = ProblemType("conflict", 409, "The state of the job does not allow this")
DISK_FULL = ProblemType("disk-full", 507, "The disk of the service is full")
FORBIDDEN_SOURCE = ProblemType("forbidden-source", 403, "The service may not read rasters from this source")
GONE = ProblemType("gone", 410, "The raster no longer exists")
INTERNAL = ProblemType("internal", 500, "The service failed")
KEYS_DOWN = ProblemType("keys-down", 503, "API keys cannot be checked")
METHOD = ProblemType("method-not-allowed", 405, "This path does not support this method")
NOT_ACCEPTABLE = ProblemType("not-acceptable", 406, "The accepted media types are not available")
NOT_FOUND = ProblemType("not-found", 404, "There is no such path")
NO_JOB = ProblemType("no-such-job", 404, "There is no such job")
NO_KEY = ProblemType("no-key", 401, "An API key is needed")
NO_MODEL = ProblemType("no-such-model", 404, "There is no such model")
NO_RESULT = ProblemType("no-such-result", 404, "There is no such result")
NOT_READY = ProblemType("not-ready", 503, "The service is not ready")
OTHER_VALUES = ProblemType("other-values", 422, "The pixel values have another range than in training")
QUOTA = ProblemType("quota", 429, "The key's quota is used up")
RANGE = ProblemType("range-not-satisfiable", 416, "The range is outside the file")
RATE_LIMIT = ProblemType("rate-limit", 429, "Too many requests")
TIMEOUT = ProblemType("timeout", 504, "The prediction took too long")
TOO_LARGE = ProblemType("too-large", 413, "The request is too large")
UNSUPPORTED = ProblemType("unsupported-media-type", 415, "Unsupported media type")

PROBLEM_TYPES: tuple[ProblemType, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, ProblemType)
)
"""All problem types of the service."""


@dataclass
class Problem(Exception):  # noqa: N818 -- the RFC's word
    """An error that a request is answered with.

    Attributes:
        kind: Type of the problem.
        detail: Cause and remedy for the client; never a path of the server or the text of an exception.
        errors: Details by field: ``{"field": name, "detail": text}``.
        headers: Headers of the response, such as Retry-After.
    """

    kind: ProblemType
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, instance: str) -> dict[str, Any]:
        """Return the members of the JSON object.

        Args:
            instance: URN of this occurrence.
        """
        named = {"errors": [dict(e) for e in self.errors]} if self.errors else {}
        return {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            **named,
        }
