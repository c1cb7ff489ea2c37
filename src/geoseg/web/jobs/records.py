"""What is known of a job, as its ``job.json`` holds it."""

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
"""The source of a job whose raster came with the request."""

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")
_Size = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Record(BaseModel):
    # Names that are not known are left out: a newer version of this package may share the data folder.
    model_config = ConfigDict(frozen=True, extra="ignore")


class JobOptions(_Record):
    """What a client wants of a job beside the class map.

    Attributes:
        products: Further results.
        min_area: Minimum mapping unit in square metres; 0 merges nothing, None takes the default of polygons.
        simplify: Metres by which outlines of polygons may be simplified.
        resample: Whether to compute at the model's ground resolution.
        tta: Whether to take the mean over the windows turned and flipped in every way.
        nodata: A pixel value that stands for no data, in addition to the declared one.
        strict_nodata: Whether nodata in one of the bands makes a pixel invalid; None: as at training.
        any_values: Whether values on another scale than the training's are mapped too.
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
    """How far a job has come in what it is at.

    Attributes:
        what: "Fetching", "Predicting" or "Writing".
        done: Steps that are done: windows, strips or bytes.
        total: Steps in all; 0 where that is not known.
        seconds_left: How long this stage is going to last, where that can be told.
    """

    what: str
    done: int = 0
    total: int = 0
    seconds_left: float | None = None


class JobFailure(_Record):
    """Why a job failed.

    Attributes:
        slug: The kind of problem, as :mod:`geoseg.web.http.problems` names it.
        detail: What the client should know; never a path of the server or an exception's text.
    """

    slug: str
    detail: str


class JobRequest(_Record):
    """What a client asked for.

    Attributes:
        owner: Identifier of the API key that it belongs to; None without keys.
        model: Name of the model.
        wish: What is to be made.
        source: "upload", or the address or path of the raster.
    """

    owner: str | None = None
    model: str
    wish: JobOptions = JobOptions()
    source: str = UPLOAD


class Job(_Record):
    """A job.

    Attributes:
        id: Its name; cannot be guessed.
        order: What was asked for.
        state: Where it stands.
        created: When it was made.
        started: When a worker first began it.
        finished: When it was over.
        tries: How often workers began it and did not give it back.
        model_sha256: The model file that the map is made with, once that is known.
        progress: How far it has come, while it runs.
        problem: Why it failed.
        areas: What each class covers, when it is done.
        warnings: What may spoil the map, as sentences.
        size: Bytes of its results, when it is done.
    """

    id: str
    order: JobRequest
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
        """Whether nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")


def new_id() -> str:
    """Return an identifier that nobody can guess."""
    return token_urlsafe(16)


def is_id(text: str) -> bool:
    """Say whether a text may be an identifier, and therefore the name of a folder."""
    return _ID.fullmatch(text) is not None


def utc_now() -> datetime:
    """Return the time, to the millisecond."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
