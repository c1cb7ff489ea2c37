"""Faults as answers: ``application/problem+json`` (RFC 9457), one stable type for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MEDIA_TYPE = "application/problem+json"
_NAMESPACE = "urn:geoseg:problem:"


@dataclass(frozen=True)
class ProblemType:
    """One fault: the last part of its type, its status and its title."""

    slug: str
    status: int
    title: str

    @property
    def type(self) -> str:
        """Its stable identifier."""
        return _NAMESPACE + self.slug


BAD_REQUEST = ProblemType("bad-request", 400, "The request cannot be understood")
BAD_IMAGE = ProblemType("bad-image", 422, "The image cannot be used")
BAD_PARAMETER = ProblemType("bad-parameter", 422, "A parameter is not right")
BUSY = ProblemType("busy", 503, "The service is busy")
CONFLICT = ProblemType("conflict", 409, "This does not go with the present state")
DISK_FULL = ProblemType("disk-full", 507, "The service has no room")
FORBIDDEN_SOURCE = ProblemType("forbidden-source", 403, "Rasters may not be read from there")
GONE = ProblemType("gone", 410, "It is no longer there")
INTERNAL = ProblemType("internal", 500, "The service failed")
KEYS_DOWN = ProblemType("keys-down", 503, "API keys cannot be checked")
METHOD = ProblemType("method-not-allowed", 405, "This address does not take this method")
NOT_ACCEPTABLE = ProblemType("not-acceptable", 406, "No such answer can be given")
NOT_FOUND = ProblemType("not-found", 404, "There is nothing at this address")
NO_JOB = ProblemType("no-such-job", 404, "There is no such job")
NO_KEY = ProblemType("no-key", 401, "An API key is needed")
NO_MODEL = ProblemType("no-such-model", 404, "There is no such model")
NO_RESULT = ProblemType("no-such-result", 404, "There is no such result")
NOT_READY = ProblemType("not-ready", 503, "The service is not ready")
OTHER_VALUES = ProblemType("other-values", 422, "The pixel values are on another scale than at training")
QUOTA = ProblemType("quota", 429, "The key's quota is used up")
RANGE = ProblemType("range-not-satisfiable", 416, "The file has no such part")
RATE_LIMIT = ProblemType("rate-limit", 429, "Too many requests")
TIMEOUT = ProblemType("timeout", 504, "The prediction took too long")
TOO_LARGE = ProblemType("too-large", 413, "The request is too large")
UNSUPPORTED = ProblemType("unsupported-media-type", 415, "Files of this kind are not taken")

PROBLEM_TYPES: tuple[ProblemType, ...] = tuple(
    value for value in list(globals().values()) if isinstance(value, ProblemType)
)
"""Every fault that is answered."""


@dataclass
class Problem(Exception):  # noqa: N818 -- the RFC's word
    """A fault to be answered.

    Attributes:
        kind: Which.
        detail: What a person who meets it should know; never a server's path or an exception's text.
        errors: Details by field: ``{"field": name, "detail": text}``.
        headers: To be sent with it, such as Retry-After.
    """

    kind: ProblemType
    detail: str
    errors: Sequence[Mapping[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self, instance: str) -> dict[str, Any]:
        """Return the answer's members; ``instance`` names this occurrence."""
        named = {"errors": [dict(e) for e in self.errors]} if self.errors else {}
        return {
            "type": self.kind.type,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": instance,
            **named,
        }
