"""Rasters: tiles, histograms and pixel values."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from werkzeug.wrappers import Response as BaseResponse

from geoseg.web.http import problems
from geoseg.web.http.problems import Problem
from geoseg.web.label.errors import NOT_USABLE
from geoseg.web.label.openapi_document import PNG, SECURITY, responses
from geoseg.web.label.payloads import (
    BandQuery,
    HistogramAnswer,
    PixelAnswer,
    PlaceQuery,
    RasterPath,
    TilePath,
    TileQuery,
)
from geoseg.web.label.state import session

api = APIBlueprint(
    "tiles", __name__, url_prefix="/v1/project", abp_tags=[Tag(name="rasters")], abp_security=SECURITY
)
_TILE = "/rasters/<string:raster_id>/tiles/<int:z>/<int:col>/<int:row>.png"
_DAY = "private, max-age=86400"


@api.get(_TILE, summary="A tile of a raster", responses=responses(PNG, problems.NOT_FOUND, NOT_USABLE))
def tile(path: TilePath, query: TileQuery) -> BaseResponse:
    """Return 256 x 256 pixels as PNG, transparent where invalid. Level 0 is the coarsest."""
    raster = session().project.raster(path.raster_id)
    display = raster.default_display()
    bands = _numbers(query.bands, int) if query.bands else display["bands"]
    flat = _numbers(query.stretch, float) if query.stretch else [v for n in bands for v in _limits(raster, n)]
    stretch = list(zip(flat[::2], flat[1::2], strict=False))
    is_final = raster.has_preview
    found = raster.tile(path.z, path.col, path.row, bands=bands, stretch=stretch)
    if found is None:
        raise Problem(problems.NOT_FOUND, "The raster has no such tile.")
    answer = Response(found, mimetype="image/png")
    answer.headers["Cache-Control"] = _DAY if is_final else "no-store"
    answer.set_etag(
        f"{raster.key}-{is_final}-{path.z}-{path.col}-{path.row}-{bands}-{stretch}".replace(" ", "")
    )
    return answer.make_conditional(request)


@api.get(
    "/rasters/<string:raster_id>/histogram",
    summary="Histogram of a band",
    responses=responses(HistogramAnswer, NOT_USABLE),
)
def histogram(path: RasterPath, query: BandQuery) -> dict[str, Any]:
    """Return counts of the values of a band, from a sample."""
    return session().project.raster(path.raster_id).histogram(query.band)


@api.get(
    "/pixel", summary="Values of a pixel", responses=responses(PixelAnswer, problems.NOT_FOUND, NOT_USABLE)
)
def pixel(query: PlaceQuery) -> dict[str, Any]:
    """Return the values and the class of the pixel under a place."""
    found = session().pixel(query.raster, query.x, query.y)
    if found is None:
        raise Problem(problems.NOT_FOUND, "This place is outside the raster.")
    return found


def _limits(raster: Any, band: int) -> tuple[float, float]:
    return raster.limits[band - 1] if 1 <= band <= len(raster.limits) else (0.0, 1.0)


def _numbers(text: str, kind: type) -> list[Any]:
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError as error:
        raise Problem(
            problems.BAD_PARAMETER, "Invalid parameter: bands and stretch are numbers with commas."
        ) from error
