"""Routes that map an image at once."""

from __future__ import annotations

import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from flask import Response, g, jsonify, request
from flask_openapi3 import APIBlueprint, Tag

from geoseg.errors import RasterError
from geoseg.web.http import problems
from geoseg.web.http.access import creates_job
from geoseg.web.http.admission import Deadline
from geoseg.web.http.problems import Problem
from geoseg.web.http.uploads import Image, announced_bytes, received_image
from geoseg.web.jobs.expiry import check_free_space
from geoseg.web.jobs.results import COG
from geoseg.web.request_hooks import pixels_charged
from geoseg.web.routes.jobs import FAULTS as JOB_FAULTS
from geoseg.web.routes.jobs import accept_job
from geoseg.web.routes.models import version_of
from geoseg.web.routes.openapi_document import (
    BINARY,
    SECURITY,
    image_request_body,
    problem_responses,
    schema_ref,
    success_response,
)
from geoseg.web.routes.payloads import JobQuery, MapAnswer, PredictQuery, PublishedQuery
from geoseg.web.service import service
from geoseg.workflows.mapping.live import (
    ImageMap,
    LoadedModel,
    ReadOptions,
    as_confidence_geotiff,
    as_confidence_png,
    as_geojson,
    as_geotiff,
    as_ids_png,
    as_png,
    check_live_bands,
    count_polygons,
    for_polygons,
    map_image,
)

PNG, TIFF, GEOJSON, JSON = "image/png", "image/tiff", "application/geo+json", "application/json"
_TAG = Tag(name="predictions", description="Maps of images, at once")
_FAULTS = (
    *(problems.NO_MODEL, problems.NOT_ACCEPTABLE, problems.TOO_LARGE),
    *(problems.UNSUPPORTED, problems.BAD_IMAGE, problems.QUOTA, problems.BUSY, problems.NOT_READY),
    *(problems.TIMEOUT, problems.DISK_FULL, problems.OTHER_VALUES),
)
MAX_POLYGONS = 20_000
_NO_CRS = "This image has no coordinate reference system, so its polygons have no longitude and latitude."
_NO_AREAS = "This image has no coordinate reference system, so its areas are not known. Leave out min_area."
_MODEL_HEADERS = {
    "X-Model": "The model's name.",
    "X-Model-Version": "The model's version.",
    "X-Warnings": "What may spoil the map, if anything.",
}
api = APIBlueprint("predictions", __name__, abp_tags=[_TAG], abp_security=SECURITY)


@dataclass(frozen=True)
class Prediction:
    """A map, the model that made it, and the image it is of."""

    map: ImageMap
    name: str
    model: LoadedModel
    image: Image


@api.post(
    "/predict",
    summary="A coloured map of an image",
    responses={
        200: success_response("The map, at the image's size.", {PNG: BINARY}, **_MODEL_HEADERS),
        **problem_responses(*_FAULTS),
    },
    openapi_extensions=image_request_body(),
)
def predict_published(query: PublishedQuery) -> Response:
    """Return a map in the legend's colours, as PNG of the image's own size."""
    with _predicted(PredictQuery(model=query.model)) as found, _stage("encode"):
        return _add_model_headers(Response(as_png(found.map), mimetype=PNG), found)


@api.post(
    "/v1/predict",
    summary="A map of an image, in the form that Accept asks for",
    responses={
        200: success_response(
            "The map.",
            {
                PNG: BINARY,
                COG: BINARY,
                GEOJSON: {"schema": {"type": "object"}},
                JSON: schema_ref("MapAnswer"),
            },
            **_MODEL_HEADERS,
        ),
        202: success_response(
            "With 'Prefer: respond-async': a job is made.",
            {JSON: schema_ref("JobAnswer")},
            Location="Where the job tells of itself.",
        ),
        **problem_responses(*_FAULTS, *JOB_FAULTS),
    },
    openapi_extensions=image_request_body(),
)
def predict(query: PredictQuery) -> Response:
    """Return a map as PNG, Cloud Optimized GeoTIFF, GeoJSON (longitude and latitude) or JSON."""
    if creates_job(request.endpoint, request.headers):
        wish = JobQuery(
            model=query.model,
            min_area=query.min_area,
            tta=query.tta,
            nodata=query.nodata,
            strict_nodata=query.strict_nodata,
            any_values=query.any_values,
            also=["confidence", "polygons", "areas"],
        )
        response = accept_job(wish)
        response.headers["Preference-Applied"] = "respond-async"
        return response
    encode = _encoder()
    with _predicted(query, needs_crs=encode is _to_geojson) as found, _stage("encode"):
        return _add_model_headers(encode(found, query), found)


def _encoder() -> Callable[[Prediction, PredictQuery], Response]:
    """Return what makes the answer that the request accepts.

    Raises:
        Problem: It accepts none.
    """
    best = request.accept_mimetypes.best_match(list(_ENCODERS)) if request.accept_mimetypes else PNG
    if best is None:
        detail = f"A map comes as {PNG}, {COG}, {GEOJSON} or {JSON}."
        raise Problem(problems.NOT_ACCEPTABLE, detail)
    return _ENCODERS[best]


@contextmanager
def _predicted(query: PredictQuery, *, needs_crs: bool = False) -> Iterator[Prediction]:
    """Yield the map of the request's image; all that was written for it is removed when the block ends."""
    here = service()
    limits = here.settings
    # Before an upload is waited for.
    here.registry.check(query.model)
    here.admission.check()
    check_free_space(here.jobs, limits, incoming_bytes=announced_bytes())
    with ExitStack() as stack:
        with _stage("check"):
            most = max(limits.max_pixels, limits.max_job_pixels)
            image = stack.enter_context(received_image(max_pixels=most, max_bands=limits.max_bands))
        if image.header.pixels > limits.max_pixels:
            detail = f"The image has more than {limits.max_pixels:,} pixels. Larger ones are for jobs (POST /v1/jobs)."
            raise Problem(problems.TOO_LARGE, detail)
        if needs_crs and not image.header.has_crs:
            raise Problem(problems.NOT_ACCEPTABLE, _NO_CRS)
        if query.min_area and not image.header.has_crs:
            raise Problem(problems.BAD_IMAGE, _NO_AREAS)
        name, model = stack.enter_context(here.registry.lease(query.model))
        stack.enter_context(here.admission.admit())
        stack.enter_context(_pending())
        g.model = name
        _check_bands(image, model)
        stack.enter_context(pixels_charged(image.header.pixels))
        with _stage("predict"):
            reading = ReadOptions(query.nodata, query.strict_nodata, query.any_values)
            deadline = Deadline(limits.timeout_s)
            found = map_image(
                image.path,
                model,
                tta=query.tta,
                reading=reading,
                min_area=query.min_area,
                progress=deadline,
            )
        here.metrics.pixels.inc(found.class_ids.size)
        yield Prediction(found, name, model, image)


def _check_bands(image: Image, model: LoadedModel) -> None:
    if image.header.bands >= max(model.record.bands):
        return
    try:
        check_live_bands(image.path, model)
    except RasterError as error:
        needed = ", ".join(map(str, model.record.bands))
        detail = f"The model takes the bands {needed}; the image has {image.header.bands}."
        raise Problem(problems.BAD_IMAGE, detail) from error


@contextmanager
def _pending() -> Iterator[None]:
    gauge = service().metrics.pending
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()


@contextmanager
def _stage(name: str) -> Iterator[None]:
    began = time.perf_counter()
    yield
    service().metrics.stages.labels(str(request.url_rule), name).observe(time.perf_counter() - began)


def _add_model_headers(response: Response, found: Prediction) -> Response:
    response.headers["X-Model"] = found.name.encode("ascii", "replace").decode()
    response.headers["X-Model-Version"] = version_of(found.model.sha256)
    if found.map.warnings:
        response.headers["X-Warnings"] = " ".join(found.map.warnings).encode("ascii", "replace").decode()
    response.vary.add("Accept")
    return response


def _to_png(found: Prediction, query: PredictQuery) -> Response:
    draw = as_confidence_png if query.confidence else as_ids_png if query.ids else as_png
    return Response(draw(found.map), mimetype=PNG)


def _to_geotiff(found: Prediction, query: PredictQuery) -> Response:
    write = as_confidence_geotiff if query.confidence else as_geotiff
    response = Response(write(found.map, found.image.path.parent))
    response.content_type = COG
    return response


def _to_geojson(found: Prediction, _query: PredictQuery) -> Response:
    made = for_polygons(found.map)
    polygons = count_polygons(made)
    if polygons > MAX_POLYGONS:
        detail = f"This map has {polygons:,} polygons; more than {MAX_POLYGONS:,} are for jobs (POST /v1/jobs?also=polygons)."
        raise Problem(problems.TOO_LARGE, detail)
    return Response(as_geojson(made), mimetype=GEOJSON)


def _to_json(found: Prediction, query: PredictQuery) -> Response:
    info, made = found.map.info, found.map
    colors = {c.id: c.color for c in made.legend.classes}
    answer = MapAnswer(
        model=found.name,
        model_version=version_of(found.model.sha256),
        request_id=g.request_id,
        width=info.width,
        height=info.height,
        crs=info.crs,
        transform=list(info.transform) if info.is_georeferenced else None,
        mean_confidence=made.mean_confidence,
        classes=[{**area, "color": colors.get(area["id"])} for area in made.areas],  # type: ignore[misc]
        warnings=list(made.warnings),
        class_ids_png=b64encode(as_ids_png(made)).decode("ascii"),
        confidence_png=b64encode(as_confidence_png(made)).decode("ascii") if query.confidence else None,
    )
    return jsonify(answer.model_dump(mode="json"))


_ENCODERS: Mapping[str, Callable[[Prediction, PredictQuery], Response]] = {
    PNG: _to_png,
    COG: _to_geotiff,
    "image/tiff; application=geotiff": _to_geotiff,
    TIFF: _to_geotiff,
    GEOJSON: _to_geojson,
    JSON: _to_json,
}
