"""Routes that map an image within the request."""

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
from geoseg.web.routes.jobs import PROBLEMS as JOB_PROBLEMS
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
_TAG = Tag(name="predictions", description="Maps of images")
_PROBLEMS = (
    *(problems.NO_MODEL, problems.NOT_ACCEPTABLE, problems.TOO_LARGE),
    *(problems.UNSUPPORTED, problems.BAD_IMAGE, problems.QUOTA, problems.BUSY, problems.NOT_READY),
    *(problems.TIMEOUT, problems.DISK_FULL, problems.OTHER_VALUES),
)
MAX_POLYGONS = 20_000
_NO_CRS = "This image has no coordinate reference system, which GeoJSON needs. Choose another media type."
_NO_AREAS = "This image has no coordinate reference system, which min_area needs. Omit min_area."
_MODEL_HEADERS = {
    "X-Model": "The model's name.",
    "X-Model-Version": "The model's version.",
    "X-Warnings": "Warnings about the map.",
}
api = APIBlueprint("predictions", __name__, abp_tags=[_TAG], abp_security=SECURITY)


@dataclass(frozen=True)
class Prediction:
    """A map with its model and its image."""

    map: ImageMap
    name: str
    model: LoadedModel
    image: Image


@api.post(
    "/predict",
    summary="Map an image in colour",
    responses={
        200: success_response("The map, of the size of the image.", {PNG: BINARY}, **_MODEL_HEADERS),
        **problem_responses(*_PROBLEMS),
    },
    openapi_extensions=image_request_body(),
)
def predict_published(query: PublishedQuery) -> Response:
    """Return a map in the colours of the legend, as PNG of the size of the image."""
    with _predicted(PredictQuery(model=query.model)) as prediction, _stage("encode"):
        return _add_model_headers(Response(as_png(prediction.map), mimetype=PNG), prediction)


@api.post(
    "/v1/predict",
    summary="Map an image in the media type of the Accept header",
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
            "With 'Prefer: respond-async': a job is created.",
            {JSON: schema_ref("JobAnswer")},
            Location="Path of the job.",
        ),
        **problem_responses(*_PROBLEMS, *JOB_PROBLEMS),
    },
    openapi_extensions=image_request_body(),
)
def predict(query: PredictQuery) -> Response:
    """Return a map as PNG, Cloud Optimized GeoTIFF, GeoJSON (longitude and latitude) or JSON."""
    if creates_job(request.endpoint, request.headers):
        same = query.model_dump(exclude={"confidence", "ids"})
        response = accept_job(JobQuery(**same, also=["confidence", "polygons", "areas"]))
        response.headers["Preference-Applied"] = "respond-async"
        return response
    encode = _encoder()
    with _predicted(query, needs_crs=encode is _to_geojson) as prediction, _stage("encode"):
        return _add_model_headers(encode(prediction, query), prediction)


def _encoder() -> Callable[[Prediction, PredictQuery], Response]:
    """Return the encoder of the media type that the request accepts.

    Raises:
        Problem: The request accepts no available media type.
    """
    best = request.accept_mimetypes.best_match(list(_ENCODERS)) if request.accept_mimetypes else PNG
    if best is None:
        detail = f"Maps are available as {PNG}, {COG}, {GEOJSON} or {JSON}."
        raise Problem(problems.NOT_ACCEPTABLE, detail)
    return _ENCODERS[best]


@contextmanager
def _predicted(query: PredictQuery, *, needs_crs: bool = False) -> Iterator[Prediction]:
    """Yield the map of the image of the request; remove its files when the block ends."""
    current = service()
    limits = current.settings
    # Check before the upload is read.
    current.registry.check(query.model)
    current.admission.check()
    check_free_space(current.jobs, limits, incoming_bytes=announced_bytes())
    with ExitStack() as stack:
        with _stage("check"):
            most = max(limits.max_pixels, limits.max_job_pixels)
            bands = current.registry.most_bands(query.model, limits.max_bands)
            image = stack.enter_context(received_image(max_pixels=most, max_bands=bands))
        if image.header.pixels > limits.max_pixels:
            detail = f"The image has more than {limits.max_pixels:,} pixels. Send larger images as jobs (POST /v1/jobs)."
            raise Problem(problems.TOO_LARGE, detail)
        if needs_crs and not image.header.has_crs:
            raise Problem(problems.NOT_ACCEPTABLE, _NO_CRS)
        if query.min_area and not image.header.has_crs:
            raise Problem(problems.BAD_IMAGE, _NO_AREAS)
        name, model = stack.enter_context(current.registry.lease(query.model))
        stack.enter_context(current.admission.admit())
        stack.enter_context(_pending())
        g.model = name
        _check_bands(image, model)
        stack.enter_context(pixels_charged(image.header.pixels))
        with _stage("predict"):
            reading = ReadOptions(query.nodata, query.strict_nodata, query.any_values)
            deadline = Deadline(limits.timeout_s)
            class_map = map_image(
                image.path,
                model,
                tta=query.tta,
                reading=reading,
                min_area=query.min_area,
                progress=deadline,
            )
        current.metrics.pixels.inc(class_map.class_ids.size)
        yield Prediction(class_map, name, model, image)


def _check_bands(image: Image, model: LoadedModel) -> None:
    if model.record.feature_space is not None:
        check_live_bands(image.path, model)
        return
    if image.header.bands >= max(model.record.bands):
        return
    try:
        check_live_bands(image.path, model)
    except RasterError as error:
        needed = ", ".join(map(str, model.record.bands))
        detail = f"The model needs the bands {needed}; the image has {image.header.bands}."
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


def _add_model_headers(response: Response, prediction: Prediction) -> Response:
    response.headers["X-Model"] = prediction.name.encode("ascii", "replace").decode()
    response.headers["X-Model-Version"] = version_of(prediction.model.sha256)
    if prediction.map.warnings:
        response.headers["X-Warnings"] = " ".join(prediction.map.warnings).encode("ascii", "replace").decode()
    response.vary.add("Accept")
    return response


def _to_png(prediction: Prediction, query: PredictQuery) -> Response:
    draw = as_confidence_png if query.confidence else as_ids_png if query.ids else as_png
    return Response(draw(prediction.map), mimetype=PNG)


def _to_geotiff(prediction: Prediction, query: PredictQuery) -> Response:
    write = as_confidence_geotiff if query.confidence else as_geotiff
    response = Response(write(prediction.map, prediction.image.path.parent))
    response.content_type = COG
    return response


def _to_geojson(prediction: Prediction, _query: PredictQuery) -> Response:
    made = for_polygons(prediction.map)
    polygons = count_polygons(made)
    if polygons > MAX_POLYGONS:
        detail = f"This map has {polygons:,} polygons, more than the limit of {MAX_POLYGONS:,}. Create a job instead (POST /v1/jobs?also=polygons)."
        raise Problem(problems.TOO_LARGE, detail)
    return Response(as_geojson(made), mimetype=GEOJSON)


def _to_json(prediction: Prediction, query: PredictQuery) -> Response:
    info, made = prediction.map.info, prediction.map
    colors = {c.id: c.color for c in made.legend.classes}
    answer = MapAnswer(
        model=prediction.name,
        model_version=version_of(prediction.model.sha256),
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
