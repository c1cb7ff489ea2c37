"""Schemas of the labelling page's requests and responses."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Source = Literal["clicked", "suggested", "random", "imported", "qgis"]
Role = Literal["train", "check"]
Color = Annotated[str, Field(pattern=r"^#[0-9a-fA-F]{6}$", description="#rrggbb")]
Name = Annotated[str, Field(min_length=1, max_length=100)]
_Finite = Annotated[float, Field(allow_inf_nan=False)]
Extent = Annotated[
    list[_Finite], Field(min_length=4, max_length=4, description="xmin, ymin, xmax, ymax on the page.")
]


class ClosedModel(BaseModel):
    """A part of a request, without members that nobody reads."""

    model_config = ConfigDict(extra="forbid")


class ProblemAnswer(BaseModel):
    """A problem (RFC 9457); some types have further members, such as ``conflicts``."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[dict[str, str]] | None = None


class Display(ClosedModel):
    """Bands and stretch of a raster."""

    bands: Annotated[list[int], Field(min_length=1, max_length=3, description="One or three, 1-based.")]
    stretch: Annotated[list[tuple[_Finite, _Finite]], Field(min_length=1, max_length=3)]


class ProjectChange(ClosedModel):
    """New settings of a project."""

    name: Name | None = None
    annotator: Name | None = None
    display: dict[str, Display] | None = Field(default=None, description="By raster id.")


class BandAnswer(BaseModel):
    """A band of a raster; low and high are its 2nd and 98th percentile."""

    index: int
    name: str
    dtype: str
    low: float
    high: float


class RasterAnswer(BaseModel):
    """A raster of the project."""

    id: str
    name: str
    path: str
    width: int
    height: int
    bands: list[BandAnswer]
    crs: dict[str, Any] | None = Field(
        description="code, name, proj4, units; null if the page works in pixels."
    )
    transform: list[float]
    extent: list[float]
    pixel_m: float | None
    levels: int
    display: dict[str, Any]


class ClassAnswer(BaseModel):
    """A class of the project."""

    id: int
    name: str
    color: str
    key: str
    revision: int
    points: int
    check_points: int


class ModelAnswer(BaseModel):
    """The model of the page."""

    revision: int
    points: int
    seconds: float
    recipe: str
    points_revision: int
    message: str | None


class ProjectAnswer(BaseModel):
    """The project."""

    name: str
    folder: str
    revision: int
    annotator: str
    rasters: list[RasterAnswer]
    classes: list[ClassAnswer]
    undo: str | None
    redo: str | None
    model: ModelAnswer | None


class NewClass(ClosedModel):
    """A class to add."""

    name: Name
    color: Color | None = None


class ClassChange(ClosedModel):
    """New values of a class; ``revision`` is the one that the client has."""

    revision: int
    name: Name | None = None
    color: Color | None = None
    key: Annotated[str, Field(max_length=1, description="Key of the keyboard; empty for none.")] | None = None


class RevisionQuery(ClosedModel):
    """The revision that the client has."""

    revision: int


class ClassPath(BaseModel):
    """Path parameter of a class."""

    class_id: int


class SinceQuery(ClosedModel):
    """The revision that the client has."""

    since: int = Field(default=-1, description="Changes after this revision; -1 for all points.")


class PointAnswer(BaseModel):
    """A labelled point, line or polygon."""

    id: str
    raster: str
    geometry: dict[str, Any]
    class_id: int | None
    unsure: bool
    source: str
    role: Role
    annotator: str
    date: str
    revision: int


class PointsAnswer(BaseModel):
    """Points, and the ids of those that were deleted."""

    revision: int
    points: list[PointAnswer]
    deleted: list[str]


class ChangesAnswer(PointsAnswer):
    """Changed points, and what undo and redo would act on."""

    undo: str | None
    redo: str | None


class PointChange(ClosedModel):
    """A change of one point."""

    op: Literal["add", "update", "delete"]
    id: Annotated[str, Field(max_length=60, description="UUID")]
    revision: int | None = Field(
        default=None, description="The revision that the client has; needed unless added."
    )
    raster: str | None = Field(default=None, max_length=60)
    geometry: dict[str, Any] | None = Field(
        default=None, description="GeoJSON in the coordinates of the page."
    )
    class_id: int | None = None
    unsure: bool | None = None
    source: Source | None = None
    role: Role | None = None


class Changes(ClosedModel):
    """Changes to apply together, or none of them."""

    annotator: Name
    changes: Annotated[list[PointChange], Field(min_length=1, max_length=20_000)]


class Annotator(ClosedModel):
    """The person who acts."""

    annotator: Name


class ImportAnswer(BaseModel):
    """Result of an import of points."""

    imported: int
    dropped: list[dict[str, Any]]
    revision: int


class RasterPath(BaseModel):
    """Path parameter of a raster."""

    raster_id: Annotated[str, Field(max_length=60)]


class TilePath(RasterPath):
    """Path parameters of a tile."""

    z: int = Field(ge=0, le=40)
    col: int = Field(ge=0)
    row: int = Field(ge=0)


class TileQuery(ClosedModel):
    """Bands and stretch of a tile."""

    bands: str | None = Field(default=None, max_length=60, description="One or three bands, such as 4,1,2.")
    stretch: str | None = Field(
        default=None, max_length=300, description="Low and high of each band, by commas."
    )


class BandQuery(ClosedModel):
    """A band."""

    band: int = Field(ge=1)


class HistogramAnswer(BaseModel):
    """Counts of values in equal bins."""

    counts: list[int]
    low: float
    high: float


class PlaceQuery(ClosedModel):
    """A place on the page."""

    raster: Annotated[str, Field(max_length=60)]
    x: _Finite
    y: _Finite


class PixelAnswer(BaseModel):
    """Values and class of a pixel."""

    row: int
    col: int
    bands: list[dict[str, Any]]
    class_id: int | None
    confidence: float | None
    probabilities: list[dict[str, Any]]


class ViewRequest(ClosedModel):
    """A view of the page."""

    raster: Annotated[str, Field(max_length=60)]
    extent: Extent


class CountAnswer(BaseModel):
    """How much is done."""

    done: int
    total: int


class ViewAnswer(BaseModel):
    """Features of a view."""

    features: CountAnswer


class UpdateAnswer(ViewAnswer):
    """The refitted model."""

    model: ModelAnswer


class FeaturesAnswer(CountAnswer):
    """Features of a raster and of the view, counted in cells of 512 px."""

    view_done: int
    view_total: int
    message: str | None


class EstimateAnswer(BaseModel):
    """An estimate with its 95 % interval, as fractions."""

    estimate: float
    low: float | None
    high: float | None


class ClassAccuracy(BaseModel):
    """Accuracy of a class."""

    id: int
    users: EstimateAnswer | None
    producers: EstimateAnswer | None


class AccuracyAnswer(BaseModel):
    """Accuracy at check points; overall is null with too few of them."""

    points: int
    overall: EstimateAnswer | None
    basis: str
    message: str | None
    classes: list[ClassAccuracy]


class PredictionQuery(ClosedModel):
    """What a tile of the map shows."""

    view: Literal["classes", "confidence"] = "classes"
    model: int | None = Field(default=None, description="Revision of the model, to keep caches apart.")


class AreaQuery(ClosedModel):
    """A part of a raster."""

    raster: Annotated[str, Field(max_length=60)]
    extent: Annotated[str, Field(max_length=200, description="xmin,ymin,xmax,ymax on the page.")]


class AreasAnswer(BaseModel):
    """Areas of the classes in a view."""

    model: int | None
    share_computed: float
    classes: list[dict[str, Any]]


class SuggestionRequest(ClosedModel):
    """How many places to suggest, and where."""

    raster: Annotated[str, Field(max_length=60)]
    extent: Extent | None = None
    count: int = Field(default=10, ge=1, le=500)
    seed: int | None = Field(default=None, ge=0, le=2**32 - 1)


class SuggestionAnswer(BaseModel):
    """A place to label next; one drawn at random serves as a check point."""

    id: str
    x: float
    y: float
    reason: Literal["coverage", "uncertain", "random"]
    class_id: int | None
    confidence: float | None


class SuggestionsAnswer(BaseModel):
    """Places to label next."""

    suggestions: list[SuggestionAnswer]
    message: str | None
