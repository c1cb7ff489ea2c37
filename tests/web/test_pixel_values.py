"""The service maps no image whose values its model cannot know, unless it is asked to."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio


@pytest.fixture(scope="module")
def server(inside_module, model):
    return inside_module(model, job_workers=0)


@pytest.fixture
def other_depth(raster, write_tiff, tmp_path):
    """The raster in 16 bits, 40 times as large."""
    with rasterio.open(raster) as dataset:
        values = dataset.read().astype(np.uint16) * 40
    return write_tiff(tmp_path / "deep.tif", values, index=2, nodata=0)


@pytest.mark.parametrize("path", ["/predict", "/v1/predict"])
def test_values_on_another_scale_are_a_problem_with_both_ranges(server, other_depth, path):
    answer = server.post(path, other_depth)
    assert (answer.status, answer.problem) == (422, "other-values")
    detail = answer.json["detail"]
    assert "(uint8), got band 1" in detail
    assert "any_values=true" in detail
    assert "/" not in detail.replace("and/or", "")


def test_who_insists_gets_a_map_that_carries_the_warning(server, other_depth):
    answer = server.post("/v1/predict?any_values=true", other_depth, Accept="application/json")
    assert answer.status == 200
    assert "another scale" in answer.json["warnings"][0]
    assert "another scale" in answer.headers["x-warnings"]


def test_a_map_without_faults_carries_no_warning(server, raster):
    answer = server.post("/v1/predict", raster, Accept="application/json")
    assert (answer.json["warnings"], "x-warnings" in answer.headers) == ([], False)


def test_an_image_of_one_colour_is_mapped(server, write_tiff, tmp_path):
    for value in (0, 90, 255):
        path = write_tiff(tmp_path / f"{value}.tif", np.full((3, 32, 32), value, np.uint8))
        assert server.post("/predict", path).status == 200


def test_a_nodata_value_that_the_request_declares_is_left_out(server, raster, write_tiff, tmp_path):
    with rasterio.open(raster) as dataset:
        values = dataset.read()
    path = write_tiff(tmp_path / "plain.tif", values, index=2)
    answer = server.post("/v1/predict?nodata=0", path, Accept="application/json")
    nodata = next(found for found in answer.json["classes"] if found["id"] == 255)
    assert nodata["pixels"] == (values == 0).all(axis=0).sum() > 0
