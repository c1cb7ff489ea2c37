"""A small raster with its truth as arrays, and points on it."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from geoseg import PointSegmenter


@pytest.fixture(scope="session")
def scene(dataset):
    """Pixels (3, 96, 96) and class ids (96, 96) of a training raster; 0 and 255 in the hole."""
    with rasterio.open(dataset / "images" / "east.tif") as image:
        pixels = image.read()
    with rasterio.open(dataset / "masks" / "east.tif") as mask:
        return pixels, mask.read(1)


@pytest.fixture(scope="session")
def grid_points(scene):
    """An array (P, 3) of row, col and class on a grid over the scene, without the hole."""
    rows, cols = np.mgrid[4:96:12, 4:96:12]
    rows, cols = rows.ravel(), cols.ravel()
    labels = scene[1][rows, cols]
    return np.stack([rows, cols, labels], axis=1)[labels != 255]


@pytest.fixture(scope="session")
def fitted(scene, grid_points):
    """A forest fitted to arrays."""
    names = ["field", "wood", "water"]
    return PointSegmenter("forest", patch=64, prior="none", nodata=0).fit(scene[0], grid_points, legend=names)
