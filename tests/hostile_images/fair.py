"""Images that are strange but fair."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY
from tests.hostile_images.encoders import geotiff, picture, ramp_jpeg
from tests.hostile_images.pngs import png
from tests.hostile_images.tiff_writing import georeferenced, strips, tiff, tiles


def fair_images() -> Iterator[Case]:
    yield "fair: tif", tiff(strips(), GREY), True
    yield "fair: tif of the other byte order", tiff(strips(), GREY, order=">"), True
    yield "fair: tif big", tiff(strips(), GREY, big=True), True
    yield "fair: tif tiled", tiff(tiles(), GREY), True
    yield "fair: tif with a place", tiff(georeferenced(), GREY), True
    yield "fair: tif of NaN", geotiff(np.full((3, 16, 16), np.nan, np.float32)), True
    yield "fair: tif of infinity", geotiff(np.full((3, 16, 16), np.inf, np.float64)), True
    yield "fair: tif of numbers past float32", geotiff(np.full((3, 16, 16), 1e300)), True
    yield "fair: tif of nodata alone", geotiff(np.full((3, 16, 16), 7, np.uint8), nodata=7), True
    yield "fair: tif sparse", geotiff(np.zeros((1, 64, 64), np.uint8), SPARSE_OK="TRUE"), True
    yield "fair: png", png(), True
    yield "fair: png of one pixel", picture(np.zeros((1, 1), np.uint8)), True
    yield "fair: jpg", ramp_jpeg(), True
    yield "fair: jpg progressive", ramp_jpeg(progressive=True), True
