"""The model of the page and its maps."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from geoseg.errors import TrainingError
from geoseg.web.http import problems
from geoseg.web.http.problems import Problem
from geoseg.web.label.errors import NOT_READY, NOT_USABLE
from geoseg.web.label.job_payloads import StatusAnswer
from geoseg.web.label.openapi_document import PNG, SECURITY, responses
from geoseg.web.label.payloads import (
    AreaQuery,
    AreasAnswer,
    PredictionQuery,
    SuggestionRequest,
    SuggestionsAnswer,
    TilePath,
    UpdateAnswer,
    ViewAnswer,
    ViewRequest,
)
from geoseg.web.label.state import session
from geoseg.workflows.labelling.suggest import suggest

api = APIBlueprint(
    "model", __name__, url_prefix="/v1/project", abp_tags=[Tag(name="model")], abp_security=SECURITY
)
_TILE = "/rasters/<string:raster_id>/prediction/<int:z>/<int:col>/<int:row>.png"
_EXTENT_NUMBERS = 4


@api.post("/view", summary="Tell the view", responses=responses(ViewAnswer, NOT_USABLE, status=202))
def view(body: ViewRequest) -> tuple[dict[str, Any], int]:
    """Read the features of this view before all others."""
    return session().set_view(body.raster, body.extent), 202


@api.post("/update", summary="Refit the model", responses=responses(UpdateAnswer, NOT_USABLE, NOT_READY))
def update(body: ViewRequest) -> dict[str, Any]:
    """Refit the model on all training points whose features are read, and map the view."""
    try:
        return session().update(body.raster, body.extent)
    except TrainingError as error:
        raise Problem(NOT_READY, str(error)) from error


@api.get("/status", summary="State of the project", responses=responses(StatusAnswer))
def status() -> dict[str, Any]:
    """Return revisions, model, progress of the features, jobs and accuracy."""
    return session().status()


@api.get(
    _TILE,
    summary="A tile of the map",
    responses={
        **responses(PNG, problems.NOT_FOUND, NOT_USABLE),
        204: {"description": "No features are read here yet"},
    },
)
def prediction(path: TilePath, query: PredictionQuery) -> Response:
    """Return classes or confidence as PNG, transparent where no features are read.

    From a step of 8 pixels on, the map is made from means of features in squares of 16 pixels; from 32 on, of 64.
    """
    found = session().prediction_tile(
        path.raster_id, path.z, col=path.col, row=path.row, is_confidence=query.view == "confidence"
    )
    if found is None:
        raise Problem(problems.NOT_FOUND, "The raster has no such tile.")
    png, revision = found
    answer = Response(status=204) if png is None else Response(png, mimetype="image/png")
    answer.headers["X-Model-Revision"] = str(revision)
    return answer


@api.post("/suggestions", summary="Suggest places", responses=responses(SuggestionsAnswer, NOT_USABLE))
def suggestions(body: SuggestionRequest) -> dict[str, Any]:
    """Suggest where the next points help most. A fifth is drawn at random: answer these with role check."""
    return suggest(session(), body.raster, body.extent, count=body.count, seed=body.seed)


@api.get("/areas", summary="Areas in a view", responses=responses(AreasAnswer, NOT_USABLE))
def areas(query: AreaQuery) -> dict[str, Any]:
    """Return the area of each class in a view, in the part whose features are read."""
    return session().areas(query.raster, read_extent(query.extent))


def read_extent(text: str) -> list[float]:
    """Read an extent of four numbers with commas.

    Raises:
        Problem: The text is something else.
    """
    try:
        found = [float(part) for part in text.split(",")]
    except ValueError:
        found = []
    if len(found) != _EXTENT_NUMBERS or not all(abs(one) < float("inf") for one in found):
        raise Problem(problems.BAD_PARAMETER, "Invalid parameter: extent is xmin,ymin,xmax,ymax.")
    return found
