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
from geoseg.web.http.problems import BAD_IMAGE, DISK_FULL, INTERNAL, TOO_LARGE, UNSUPPORTED, Kind, Problem
from geoseg.web.http.uploads import of_raster
from geoseg.web.jobs.records import Fault
from geoseg.workflows.service_files import ForeignImageError, ImageTooLargeError

_TOLD: dict[type[GeoSegError], tuple[Kind, str]] = {
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
_KINDS: dict[type[GeoSegError], Kind] = {ForeignImageError: UNSUPPORTED, ImageTooLargeError: TOO_LARGE}


def fault_of(error: GeoSegError | Problem) -> Fault:
    """Return what a client is told of an error.

    Of a raster's faults it is told what is wrong and what was expected, which are the service's own words; where, and
    what came instead, may be a path or a library's text, and are for the log.
    """
    if isinstance(error, Problem):
        return Fault(slug=error.kind.slug, detail=error.detail)
    if isinstance(error, PixelValuesError):
        problem = of_raster(error)
        return _fault(problem.kind, problem.detail)
    if isinstance(error, RasterError):
        kind = _KINDS.get(type(error), BAD_IMAGE)
        expected = f"; expected {error.expected}" if error.expected is not None else ""
        return _fault(kind, f"{error.what[:1].upper()}{error.what[1:]}{expected}.")
    told = next((found for kind, found in _TOLD.items() if isinstance(error, kind)), None)
    return _fault(*told) if told else unforeseen()


def worn_out(tries: int) -> Fault:
    """Return what is told of a job whose workers died."""
    return _fault(INTERNAL, f"It was begun {tries} time(s), and each time its worker died.")


def unforeseen() -> Fault:
    """Return what is told of a fault that nobody thought of."""
    return _fault(
        INTERNAL, "The job failed for a reason that the service's log names. Tell the operator its id."
    )


def _fault(kind: Kind, detail: str) -> Fault:
    return Fault(slug=kind.slug, detail=detail)
