"""Schemas of the labelling page's jobs, exports and state."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from geoseg.web.label.payloads import AccuracyAnswer, ClosedModel, FeaturesAnswer, ModelAnswer


class JobRequest(ClosedModel):
    """A job to start."""

    kind: Literal["train", "map"]
    recipe: Literal["auto", "deep", "quick"] = "auto"
    rasters: list[Annotated[str, Field(max_length=60)]] = Field(
        default_factory=list, description="Empty for all."
    )
    model: Literal["latest"] = "latest"


class JobPath(BaseModel):
    """Path parameter of a job."""

    job_id: Annotated[str, Field(max_length=60)]


class JobResult(BaseModel):
    """A file that a job has written."""

    name: str
    url: str


class JobAnswer(BaseModel):
    """A job."""

    id: str
    kind: Literal["train", "map", "export"]
    title: str
    state: Literal["queued", "running", "done", "failed", "cancelled"]
    progress: float | None = Field(description="Share of the current stage.")
    message: str
    seconds_left: float | None
    results: list[JobResult]


class ExportPath(BaseModel):
    """Path parameter of a file."""

    name: Annotated[str, Field(max_length=100)]


class ExportItem(BaseModel):
    """A file that can be downloaded."""

    name: str
    url: str
    size: int | None


class ExportAnswer(BaseModel):
    """What can be exported."""

    unsaved: list[str] = Field(description="What model and maps lack, one sentence each.")
    items: list[ExportItem]


class StatusAnswer(BaseModel):
    """What changes while the page is open."""

    revision: int
    classes_revision: int
    model: ModelAnswer | None
    features: dict[str, FeaturesAnswer]
    previews: dict[str, bool] = Field(description="Whether overviews of a raster are complete.")
    jobs: list[JobAnswer]
    accuracy: AccuracyAnswer | None
