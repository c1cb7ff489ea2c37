"""Tiles, histogram and pixel values of the page."""

from __future__ import annotations

import io

import numpy as np
import pytest
from flask.testing import FlaskClient
from PIL import Image

TILES = "/v1/project/rasters/r1/tiles"


def picture(client: FlaskClient, path: str) -> np.ndarray:
    answer = client.get(path)
    assert answer.status_code == 200, answer.get_json()
    return np.array(Image.open(io.BytesIO(answer.data)).convert("RGBA"))


def test_a_tile_shows_the_stretched_pixels_and_nothing_outside(client: FlaskClient) -> None:
    tile = picture(client, f"{TILES}/1/0/0.png?bands=1,2,3&stretch=0,255,0,255,0,255")
    assert tile.shape == (256, 256, 4)
    assert np.abs(tile[50:, :100, :3].mean(axis=(0, 1)) - [200, 180, 90]).max() < 3
    assert not tile[:20, :20, 3].any()
    assert (tile[20:, 20:, 3] == 255).all()
    edge = picture(client, f"{TILES}/1/1/1.png")
    assert (edge[:64, :64, 3] == 255).all()
    assert not edge[64:, :, 3].any()
    whole = picture(client, f"{TILES}/0/0/0.png?bands=3&stretch=0,100")
    assert (whole[:160, :160, 3] == 255)[12:, 12:].all()
    assert (whole[..., 0] == whole[..., 1]).all()


@pytest.mark.parametrize("path", ["2/0/0.png", "1/2/0.png", "0/0/1.png"])
def test_there_is_no_tile_outside_the_grid(client: FlaskClient, path: str) -> None:
    assert client.get(f"{TILES}/{path}").status_code == 404


@pytest.mark.parametrize(
    "query", ["bands=4", "bands=1,2", "bands=x", "bands=1&stretch=1", "bands=1&stretch=nan,1"]
)
def test_wrong_bands_and_stretches_are_refused(client: FlaskClient, query: str) -> None:
    assert client.get(f"{TILES}/0/0/0.png?{query}").status_code == 422


def test_a_tile_is_not_sent_twice(client: FlaskClient) -> None:
    first = client.get(f"{TILES}/1/0/0.png")
    again = client.get(f"{TILES}/1/0/0.png", headers={"If-None-Match": first.headers["ETag"]})
    assert again.status_code == 304


def test_histogram_and_pixel_values(client: FlaskClient) -> None:
    found = client.get("/v1/project/rasters/r1/histogram?band=1").get_json()
    assert (len(found["counts"]), found["low"], found["high"]) == (64, 0, 255)
    assert sum(found["counts"][8:15]) > sum(found["counts"][20:40])
    assert client.get("/v1/project/rasters/r1/histogram?band=9").status_code == 422
    inside = client.get("/v1/project/pixel?raster=r1&x=500050.5&y=3999899.5").get_json()
    assert (inside["row"], inside["col"]) == (100, 50)
    assert [one["index"] for one in inside["bands"]] == [1, 2, 3]
    assert abs(inside["bands"][0]["value"] - 200) < 60
    nodata = client.get("/v1/project/pixel?raster=r1&x=500005&y=3999995").get_json()
    assert [one["value"] for one in nodata["bands"]] == [None] * 3
    assert client.get("/v1/project/pixel?raster=r1&x=0&y=0").status_code == 404
