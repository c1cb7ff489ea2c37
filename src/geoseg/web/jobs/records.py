"""Records of a job, as stored in its ``job.json``."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from secrets import token_urlsafe
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

State = Literal["queued", "running", "done", "failed", "cancelled"]
STATES: tuple[State, ...] = get_args(State)
Product = Literal["confidence", "probabilities", "polygons", "areas", "style", "stac"]
UPLOAD = "upload"
"""Source of a job whose raster was uploaded with the request."""

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Record(BaseModel):
    # Ignore unknown names: a newer version of this package may share the data folder.
    model_config = ConfigDict(frozen=True, extra="ignore")


class JobOptions(_Record):
    """Options of a job; :class:`geoseg.settings.PredictSettings` describes those of the same name.

    Attributes:
        products: Results in addition to the class map.
        min_area: Minimum mapping unit in square metres; 0 merges nothing, None uses the default of polygons.
        simplify: Tolerance in metres for simplifying outlines of polygons.
        resample: Whether to resample to the ground resolution of the model.
        tta: Whether to use test-time augmentation.
        nodata: Pixel value that means no data, in addition to the declared value.
        strict_nodata: Whether nodata in one band makes a pixel invalid; None: as in training.
        any_values: Whether to accept pixel values with another range than in training.
    """

    products: tuple[Product, ...] = ()
    min_area: _Size | None = None
    simplify: _Size = 0.0
    resample: bool = False
    tta: bool = False
    nodata: Annotated[float, Field(allow_inf_nan=False)] | None = None
    strict_nodata: bool | None = None
    any_values: bool = False


class Stage(_Record):
    """Progress of the current stage of a job.

    Attributes:
        what: "Fetching", "Predicting" or "Writing".
        done: Finished steps: windows, strips or bytes.
        total: Steps of the stage; 0 if unknown.
        seconds_left: Remaining time of the stage; None if unknown.
    """

    what: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


class JobFailure(_Record):
    """Failure of a job.

    Attributes:
        slug: Slug of a problem type in :mod:`geoseg.web.http.problems`.
        detail: Cause and remedy for the client; never a path of the server or the text of an exception.
    """

    slug: str
    detail: str


class JobRequest(_Record):
    """Request that created a job.

    Attributes:
        owner: Identifier of its API key; None without keys.
        model: Name of the model.
        options: Options of the job.
        source: "upload", or the URL or path of the raster.
    """

    owner: str | None = None
    model: str
    options: JobOptions = JobOptions()
    source: str = UPLOAD


class Job(_Record):
    """A job.

    Attributes:
        id: Random identifier.
        request: The request that created the job.
        state: Current state.
        created: Time of creation.
        started: Time of the first attempt.
        finished: Time of the end.
        tries: Number of attempts, without those returned to the queue.
        model_sha256: Hash of the model file that makes the map; None before the first window.
        progress: Progress of a running job.
        problem: Failure of a failed job.
        areas: Area of each class, of a finished job.
        warnings: Warnings about the map, as sentences.
        size: Size of the results in bytes, of a finished job.
    """

    id: str
    request: JobRequest
    state: State = "queued"
    created: datetime
    started: datetime | None = None
    finished: datetime | None = None
    tries: int = 0
    model_sha256: str | None = None
    progress: Stage | None = None
    problem: JobFailure | None = None
    areas: list[dict[str, Any]] | None = None
    warnings: tuple[str, ...] = ()
    size: int = 0

    @property
    def is_over(self) -> bool:
        """Whether the job is done, failed or cancelled."""
        return self.state in ("done", "failed", "cancelled")


def new_id() -> str:
    """Return a random identifier with 128 bits."""
    return token_urlsafe(16)


def is_id(text: str) -> bool:
    """Return whether a text has the form of an identifier, and is therefore a safe folder name."""
    return _ID.fullmatch(text) is not None


def utc_now() -> datetime:
    """Return the current time in UTC, in whole milliseconds."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
