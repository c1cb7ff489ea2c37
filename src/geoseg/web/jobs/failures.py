"""What clients are told of jobs that fail."""

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
        "The results could not be written; the service may have no room. Try again later.",
    ),
    ModelFileError: (INTERNAL, "The model's file cannot be used. The operator has to mend it."),
    SettingsError: (
        INTERNAL,
        "The service's settings do not go with this model. The operator has to mend them.",
    ),
}
_KINDS: dict[type[GeoSegError], ProblemType] = {ForeignImageError: UNSUPPORTED, ImageTooLargeError: TOO_LARGE}


def to_failure(error: GeoSegError | Problem) -> JobFailure:
    """Return what a client is told of an error.

    Of a raster's faults it is told what is wrong and what was expected, which are the service's own words; where, and
    what came instead, may be a path or a library's text, and are for the log.
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
    told = next((found for kind, found in _FAILURES.items() if isinstance(error, kind)), None)
    return _failure(*told) if told else unexpected_failure()


def attempts_exhausted(tries: int) -> JobFailure:
    """Return what is told of a job whose workers died."""
    return _failure(INTERNAL, f"It was begun {tries} time(s), and each time its worker died.")


def unexpected_failure() -> JobFailure:
    """Return what is told of a fault that nobody thought of."""
    return _failure(
        INTERNAL, "The job failed for a reason that the service's log names. Tell the operator its id."
    )


def _failure(kind: ProblemType, detail: str) -> JobFailure:
    return JobFailure(slug=kind.slug, detail=detail)
