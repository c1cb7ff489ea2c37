from __future__ import annotations

import base64
import io
import json

import numpy as np
import pytest
import rasterio
from PIL import Image

from geoseg.geodata.reading.opening import ignore_missing_georeference

COG = "image/tiff; application=geotiff; profile=cloud-optimized"


def ids_of(path):
    with ignore_missing_georeference(), rasterio.open(path) as dataset:
        return dataset.read(1)


def ids_in(png: bytes):
    return np.asarray(Image.open(io.BytesIO(png)))


def colors_in(png: bytes):
    return np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))


@pytest.fixture(scope="session")
def truth(mapped):
    ids = ids_of(mapped)
    assert set(np.unique(ids)) == {0, 1, 2, 255}
    return ids


@pytest.fixture(scope="session")
def photo(raster, shared):
    """The raster as PNG and as JPEG of the same pixels, without a place on the ground."""
    with rasterio.open(raster) as dataset:
        pixels = np.moveaxis(dataset.read(), 0, -1)
    paths = {"png": shared / "photo.png", "jpg": shared / "photo.jpg"}
    for path in paths.values():
        Image.fromarray(pixels).save(path, quality=95)
    return paths


def test_the_published_call_answers_a_coloured_png_of_the_images_size(server, raster, truth, classes):
    answer = server.post("/predict", raster)

    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    colors = colors_in(answer.body)
    mapped = truth != 255
    np.testing.assert_array_equal(colors[mapped][:, :3], classes.rgb[truth[mapped]])
    assert (colors[mapped][:, 3] == 255).all()
    assert (colors[~mapped][:, 3] == 0).all()


@pytest.mark.parametrize("accept", ["image/png", "*/*", "image/*", "text/html, image/png;q=0.9"])
def test_class_ids_equal_those_of_the_command_line(server, raster, truth, accept):
    answer = server.post("/v1/predict?ids=true", raster, Accept=accept)
    np.testing.assert_array_equal(ids_in(answer.body), truth)


@pytest.mark.parametrize("accept", [COG, "image/tiff", "image/tiff; application=geotiff"])
def test_a_geotiff_keeps_the_georeference_to_the_last_digit(server, raster, mapped, truth, tmp_path, accept):
    answer = server.post("/v1/predict", raster, Accept=accept)

    assert answer.headers["content-type"] == COG
    path = tmp_path / "answer.tif"
    path.write_bytes(answer.body)
    with rasterio.open(path) as found, rasterio.open(raster) as image, rasterio.open(mapped) as by_command:
        assert (found.crs, found.transform) == (image.crs, image.transform)
        assert found.colormap(1) == by_command.colormap(1)
        assert found.nodata == 255
        assert found.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        np.testing.assert_array_equal(found.read(1), truth)


def test_geojson_is_in_longitude_and_latitude(server, raster, truth, classes):
    answer = server.post("/v1/predict", raster, Accept="application/geo+json")

    assert answer.headers["content-type"] == "application/geo+json"
    features = answer.json["features"]
    assert sum(f["properties"]["pixels"] for f in features) == (truth != 255).sum()
    assert {f["properties"]["class"] for f in features} == {
        classes.names[n] for n in np.unique(truth[truth != 255])
    }
    with rasterio.open(raster) as image:
        west, south, east, north = rasterio.warp.transform_bounds(image.crs, "EPSG:4326", *image.bounds)
    corners = np.array([xy for f in features for ring in f["geometry"]["coordinates"] for xy in ring])
    assert (corners >= [west - 1e-6, south - 1e-6]).all()
    assert (corners <= [east + 1e-6, north + 1e-6]).all()


def test_a_minimum_mapping_unit_merges_small_polygons(server, raster, truth):
    def areas(query):
        found = server.post(f"/v1/predict{query}", raster, Accept="application/geo+json").json["features"]
        return [f["properties"]["area_m2"] for f in found]

    every = areas("")
    least = sorted(every)[len(every) // 2] + 0.5
    merged = areas(f"?min_area={least}")
    assert min(every) < least <= min(merged)
    assert sum(merged) == sum(every) == (truth != 255).sum()


def test_a_minimum_mapping_unit_is_that_of_every_form(server, raster):
    query = "/v1/predict?min_area=3000"
    plain = server.post("/v1/predict", raster, Accept="application/json").json
    said = server.post(query, raster, Accept="application/json").json
    features = server.post(query, raster, Accept="application/geo+json").json["features"]
    ids = ids_in(base64.b64decode(said["class_ids_png"]))
    picture = ids_in(server.post(f"{query}&ids=true", raster, Accept="image/png").body)

    assert [c["pixels"] for c in said["classes"]] != [c["pixels"] for c in plain["classes"]]
    assert [c["pixels"] for c in said["classes"]] == [int((ids == c["id"]).sum()) for c in said["classes"]]
    np.testing.assert_array_equal(picture, ids)
    found = {f["properties"]["class_id"]: f["properties"]["pixels"] for f in features}
    assert found == {c["id"]: c["pixels"] for c in said["classes"] if c["pixels"] and c["id"] != 255}


def test_a_minimum_mapping_unit_needs_a_crs(server, photo):
    answer = server.post("/v1/predict?min_area=10", photo["png"], Accept="image/png")
    assert (answer.status, answer.problem) == (422, "bad-image")
    assert "coordinate reference system" in answer.json["detail"]


def test_geojson_of_an_image_without_a_crs_is_refused_with_a_reason(server, photo):
    answer = server.post("/v1/predict", photo["png"], Accept="application/geo+json")
    assert (answer.status, answer.problem) == (406, "not-acceptable")
    assert "coordinate reference system" in answer.json["detail"]


def test_json_holds_ids_classes_areas_and_confidence(server, raster, truth, classes):
    answer = server.post("/v1/predict?confidence=true", raster, Accept="application/json")

    found = answer.json
    np.testing.assert_array_equal(ids_in(base64.b64decode(found["class_ids_png"])), truth)
    assert (found["height"], found["width"]) == truth.shape
    with rasterio.open(raster) as image:
        assert rasterio.crs.CRS.from_wkt(found["crs"]) == image.crs
        assert found["transform"] == list(image.transform)[:6]
    for n, name in enumerate(classes.names):
        said = found["classes"][n]
        assert (said["id"], said["name"], said["pixels"]) == (n, name, (truth == n).sum())
        assert said["hectares"] == pytest.approx((truth == n).sum() / 10_000)
    steps = ids_in(base64.b64decode(found["confidence_png"]))
    assert found["mean_confidence"] == pytest.approx(steps[truth != 255].mean() / 254)
    assert found["request_id"] == answer.headers["x-request-id"]


def test_confidence_comes_as_png_and_geotiff_too(server, raster, truth, tmp_path):
    steps = ids_in(server.post("/v1/predict?confidence=true", raster).body)
    (tmp_path / "c.tif").write_bytes(server.post("/v1/predict?confidence=true", raster, Accept=COG).body)
    with rasterio.open(tmp_path / "c.tif") as dataset:
        np.testing.assert_array_equal(dataset.read(1), steps)
        assert dataset.scales[0] == pytest.approx(1 / 254)
    assert ((steps == 255) == (truth == 255)).all()


@pytest.mark.filterwarnings("ignore:.*has no CRS and no geotransform", "ignore:.*is not declared as nodata")
@pytest.mark.parametrize("kind", ["png", "jpg"])
def test_plain_pictures_are_mapped_as_by_the_command_line(server, photo, model, tmp_path, kind):
    from geoseg.settings import PredictSettings
    from geoseg.workflows.mapping.predict import predict

    path = tmp_path / "map.tif"
    predict(
        PredictSettings(model=model, rasters=(photo[kind],), output=path, device="cpu", precision="float32")
    )
    found = server.post("/v1/predict", photo[kind], name="x.jpeg", Accept="application/json").json
    np.testing.assert_array_equal(ids_in(base64.b64decode(found["class_ids_png"])), ids_of(path))
    assert found["crs"] is None
    assert found["transform"] is None
    assert found["classes"][0]["hectares"] is None


def test_test_time_augmentation_is_that_of_the_command_line(server, model, raster, tmp_path):
    from geoseg.settings import PredictSettings
    from geoseg.workflows.mapping.predict import predict

    path = tmp_path / "turned.tif"
    predict(
        PredictSettings(
            model=model, rasters=(raster,), output=path, device="cpu", precision="float32", tta=True
        )
    )
    np.testing.assert_array_equal(
        ids_in(server.post("/v1/predict?ids=true&tta=true", raster).body), ids_of(path)
    )


def test_every_answer_names_model_version_and_request(server, model, raster):
    answer = server.post("/v1/predict", raster, X_Request_ID="my-request.1")
    sha256 = server.get(f"/v1/models/{model.stem}").json["sha256"]
    assert answer.headers["x-model"] == model.stem
    assert answer.headers["x-model-version"] == sha256[:12]
    assert answer.headers["x-request-id"] == "my-request.1"


@pytest.mark.parametrize("own", ["", "a b", "x" * 65, "ä"])
def test_a_request_id_that_could_spoil_a_log_is_replaced(server, own):
    answer = server.get("/health/live", **({"X_Request_ID": own} if own else {}))
    assert len(answer.headers["x-request-id"]) == 16


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("tta=perhaps", "tta"),
        ("min_area=-1", "min_area"),
        ("min_area=nan", "min_area"),
        ("colour=1", "colour"),
    ],
)
def test_a_parameter_that_is_not_right_is_named(server, raster, query, field):
    answer = server.post(f"/v1/predict?{query}", raster)
    assert (answer.status, answer.problem) == (422, "bad-parameter")
    assert [fault["field"] for fault in answer.json["errors"]] == [field]


def test_a_model_that_is_not_there_is_refused_before_the_image_is_read(server):
    answer = server.request(
        "POST", "/v1/predict?model=none", b"", Content_Type="multipart/form-data; boundary=x"
    )
    assert (answer.status, answer.problem) == (404, "no-such-model")


@pytest.mark.parametrize("accept", ["text/html", "image/webp", "image/tiff; application=other"])
def test_an_answer_that_nobody_can_give_is_refused(server, raster, accept):
    answer = server.post("/v1/predict", raster, Accept=accept)
    assert (answer.status, answer.problem) == (406, "not-acceptable")


def test_an_image_without_the_models_bands_is_refused(server, tmp_path, write_tiff):
    answer = server.post("/v1/predict", write_tiff(tmp_path / "grey.tif", np.ones((64, 64), np.uint8)))
    assert (answer.status, answer.problem) == (422, "bad-image")
    assert "bands 1, 2, 3" in answer.json["detail"]


def test_a_text_is_refused_and_the_next_image_is_mapped(server, raster):
    answer = server.post("/predict", b"this is no image at all", name="x.tif")
    assert (answer.status, answer.problem) == (415, "unsupported-media-type")
    assert server.post("/predict", raster).status == 200


def test_nothing_of_an_upload_is_left(server, raster):
    server.post("/v1/predict", raster, Accept=COG)
    server.post("/v1/predict", b"II*\0 broken")
    assert list((server.data / "uploads").iterdir()) == []


def test_problems_never_name_a_path_or_a_library(server, raster):
    broken = raster.read_bytes()[:300]
    for image in (
        broken,
        b"II*\0" + b"\xff" * 200,
        b"\x89PNG\r\n\x1a\n" + b"\0" * 64,
        b"\xff\xd8\xff" + b"\0" * 64,
    ):
        answer = server.post("/v1/predict", image)
        assert answer.status in (413, 415, 422)
        said = json.dumps(answer.json)
        assert "/" not in answer.json["detail"]
        assert "GDAL" not in said
        assert "Error" not in said
