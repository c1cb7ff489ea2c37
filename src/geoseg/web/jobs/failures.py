"""Failures of jobs, as the client sees them."""

from __future__ import annotations

from geoseg.errors import (
    GeoSegError,
    ModelFileError,
    OutputError,
    PixelValuesError,
    RasterError,
    SettingsError,
)
from geoseg.web.http.problems import (
    BAD_IMAGE,
    DISK_FULL,
    INTERNAL,
    TOO_LARGE,
    UNSUPPORTED,
    Problem,
    ProblemType,
)
from geoseg.web.http.uploads import raster_problem
from geoseg.web.jobs.records import JobFailure
from geoseg.workflows.service_files import ForeignImageError, ImageTooLargeError

_FAILURES: dict[type[GeoSegError], tuple[ProblemType, str]] = {
    OutputError: (
        DISK_FULL,
        "The results could not be written. The disk of the service may be full; try again later.",
    ),
    ModelFileError: (INTERNAL, "The model file cannot be used. The operator has to replace it."),
    SettingsError: (
        INTERNAL,
        "The settings of the service do not suit this model. The operator has to correct them.",
    ),
}
_KINDS: dict[type[GeoSegError], ProblemType] = {ForeignImageError: UNSUPPORTED, ImageTooLargeError: TOO_LARGE}


def to_failure(error: GeoSegError | Problem) -> JobFailure:
    """Return the failure that describes an error to the client.

    For a raster, the failure states the error and the expected value. The location and the actual value stay in the
    log: they may hold a path or the text of a library.
    """
    if isinstance(error, Problem):
        return JobFailure(slug=error.kind.slug, detail=error.detail)
    if isinstance(error, PixelValuesError):
        problem = raster_problem(error)
        return _failure(problem.kind, problem.detail)
    if isinstance(error, RasterError):
        kind = _KINDS.get(type(error), BAD_IMAGE)
        expected = f"; expected {error.expected}" if error.expected is not None else ""
        return _failure(kind, f"{error.what[:1].upper()}{error.what[1:]}{expected}.")
    known = next((found for kind, found in _FAILURES.items() if isinstance(error, kind)), None)
    return _failure(*known) if known else unexpected_failure()


def attempts_exhausted(tries: int) -> JobFailure:
    """Return the failure of a job whose workers died too often."""
    return _failure(INTERNAL, f"The worker died in each of {tries} attempt(s).")


def unexpected_failure() -> JobFailure:
    """Return the failure for an unexpected error."""
    return _failure(
        INTERNAL, "The job failed; the log of the service has the cause. Send the job id to the operator."
    )


def _failure(kind: ProblemType, detail: str) -> JobFailure:
    return JobFailure(slug=kind.slug, detail=detail)
