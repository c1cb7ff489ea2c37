"""Schemas of requests and responses in the OpenAPI document."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from geoseg.settings import PredictSettings
from geoseg.web.jobs.records import Product, State

_ModelName = Annotated[
    str | None,
    Field(default=None, max_length=200, description="Name of the model. Default: the first model."),
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


def _setting(name: str, *, note: str = "") -> Any:
    """Declare a parameter with the description and the default of the setting of the same name.

    Args:
        name: A field of :class:`geoseg.settings.PredictSettings`.
        note: Text to add to the description.
    """
    setting = PredictSettings.model_fields[name]
    extra = setting.json_schema_extra
    shown = extra.get("shown") if isinstance(extra, dict) else None
    parts = (setting.description, f"Default: {shown}." if shown else "", note)
    description = " ".join(part for part in parts if part)
    return Field(default=setting.default, description=description)


_MinArea = Annotated[float | None, Field(ge=0, le=1e12, allow_inf_nan=False)]
_Tolerance = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Nodata = Annotated[float | None, Field(allow_inf_nan=False)]


def _split(values: object) -> object:
    """Split the strings of a list at commas."""
    if not isinstance(values, list):
        return values
    return [part for value in values for part in (value.split(",") if isinstance(value, str) else [value])]


class PublishedQuery(_Request):
    """Parameters of ``/predict``."""

    model: _ModelName = None


class PredictQuery(_Request):
    """Parameters of a prediction."""

    model: _ModelName = None
    confidence: bool = Field(
        default=False,
        description="PNG or GeoTIFF: return the confidence instead of the classes. JSON: add the confidence.",
    )
    ids: bool = Field(default=False, description="PNG: return class ids instead of colours.")
    min_area: _MinArea = _setting("min_area")
    tta: bool = _setting("tta")
    nodata: _Nodata = _setting("nodata")
    strict_nodata: bool | None = _setting("strict_nodata")
    any_values: bool = _setting("any_values")


class JobQuery(_Request):
    """Parameters of a job."""

    model: _ModelName = None
    also: Annotated[list[Product], BeforeValidator(_split)] = _setting(
        "also", note="Jobs can write confidence too. Repeat the parameter, or separate values by commas."
    )
    min_area: _MinArea = _setting("min_area")
    simplify: _Tolerance = _setting("simplify")
    resample: bool = _setting("resample")
    tta: bool = _setting("tta")
    nodata: _Nodata = _setting("nodata")
    strict_nodata: bool | None = _setting("strict_nodata")
    any_values: bool = _setting("any_values")


class JobSource(_Request):
    """Source of a raster that is not uploaded: its URL or its path."""

    url: str | None = Field(default=None, max_length=2000, description="URL that the service may read.")
    path: str | None = Field(default=None, max_length=1000, description="Path that the service may read.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.url is None) == (self.path is None):
            raise ValueError('expected either {"url": ...} or {"path": ...}')
        return self


class NamePath(BaseModel):
    """Path parameter of a model."""

    name: str = Field(max_length=200)


class JobPath(BaseModel):
    """Path parameter of a job."""

    job_id: str = Field(max_length=64)


class ResultPath(BaseModel):
    """Path parameters of a result."""

    job_id: str = Field(max_length=64)
    result: str = Field(max_length=200)


class FieldFault(BaseModel):
    """Error of one field."""

    field: str
    detail: str


class ProblemAnswer(BaseModel):
    """A problem (RFC 9457)."""

    type: str = Field(description="Stable identifier of the problem type.")
    title: str
    status: int
    detail: str
    instance: str = Field(description="Identifier of this occurrence, with the request id.")
    errors: list[FieldFault] | None = None


class ClassAnswer(BaseModel):
    """A class and its area in the map."""

    id: int = Field(ge=0, le=255, description="255 is nodata.")
    name: str
    color: str | None = Field(description="#rrggbb; null for nodata.")
    pixels: int
    hectares: float | None = Field(description="Null for an image without georeference.")
    share: float | None = Field(description="Fraction of the mapped pixels.")


class MapAnswer(BaseModel):
    """A map of an image."""

    model: str
    model_version: str
    request_id: str
    width: int
    height: int
    crs: str | None = Field(description="CRS of the image as WKT.")
    transform: list[float] | None = Field(description="Affine a, b, c, d, e, f from pixel corners to x, y.")
    mean_confidence: float | None
    classes: list[ClassAnswer]
    warnings: list[str] = Field(default_factory=list, description="Warnings about the map.")
    class_ids_png: str = Field(description="Class ids as a grey PNG in base64; 255 is nodata.")
    confidence_png: str | None = Field(
        default=None, description="Confidence in steps of 1/254 as a grey PNG in base64; 255 is nodata."
    )


class LegendClass(BaseModel):
    """A class of a legend."""

    id: int
    name: str
    color: str


class ModelAnswer(BaseModel):
    """State and description of a model."""

    name: str
    version: str | None = Field(description="First 12 digits of the hash; null before the model is loaded.")
    sha256: str | None
    state: Literal["ready", "loading", "failed"]
    is_default: bool
    is_file_bad: bool = Field(
        description="Whether the current file cannot be loaded; the previous model stays in use."
    )
    recipe: str | None = None
    classes: list[LegendClass] | None = None
    bands: list[int] | None = None
    resolution_m: float | None = None
    accuracy: dict[str, float] | None = Field(default=None, description="Accuracy at validation points.")
    training: dict[str, Any] | None = None
    computing: dict[str, str] | None = None


class ModelsAnswer(BaseModel):
    """All models."""

    models: list[ModelAnswer]


class Health(BaseModel):
    """Health of the service."""

    status: Literal["ok"]


class StageAnswer(BaseModel):
    """Progress of the current stage of a job."""

    what: str
    done: int
    total: int = Field(description="0 if unknown.")
    seconds_left: float | None


class Links(BaseModel):
    """Paths of a job and of its results."""

    self: str
    results: str


class JobAnswer(BaseModel):
    """A job."""

    id: str
    state: State
    model: str
    model_sha256: str | None
    products: list[Product]
    min_area: float | None
    simplify: float
    resample: bool
    tta: bool
    nodata: float | None = None
    strict_nodata: bool | None = None
    any_values: bool = False
    created: datetime
    started: datetime | None
    finished: datetime | None
    tries: int
    progress: StageAnswer | None
    problem: ProblemAnswer | None = Field(description="Cause of the failure.")
    areas: list[dict[str, Any]] | None = Field(description="Area of each class.")
    warnings: list[str] = Field(default_factory=list, description="Warnings about the map.")
    size: int = Field(description="Size of the results in bytes.")
    links: Links


class JobsAnswer(BaseModel):
    """All jobs of a key."""

    jobs: list[JobAnswer]


class ResultAnswer(BaseModel):
    """A result file of a job."""

    name: str
    bytes: int
    media_type: str
    href: str


class ResultsAnswer(BaseModel):
    """Result files of a job."""

    results: list[ResultAnswer]
