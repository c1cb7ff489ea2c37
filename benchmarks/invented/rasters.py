"""Rasters of random colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from rasterio.windows import Window

_BLOCK_PX = 16
_TILE_PX = 512


def write_raster(path: Path, width: int, height: int | None = None) -> Path:
    """Write an orthophoto with blocks of 16 px in random colours, square unless a height is given."""
    height = height or width
    rng = np.random.default_rng(0)
    place = {"crs": "EPSG:32617", "transform": Affine(0.5, 0, 500_000, 0, -0.5, 4_000_000)}
    shape = {"count": 3, "height": height, "width": width, "dtype": "uint8"}
    tiles = {
        "tiled": True,
        "blockxsize": _TILE_PX,
        "blockysize": _TILE_PX,
        "compress": "deflate",
        "zlevel": 1,
    }
    with rasterio.open(path, "w", driver="GTiff", **place, **shape, **tiles) as dataset:
        for top in range(0, height, _TILE_PX):
            rows = min(_TILE_PX, height - top)
            coarse = rng.integers(30, 220, (3, -(-rows // _BLOCK_PX), -(-width // _BLOCK_PX)), np.uint8)
            fine = coarse.repeat(_BLOCK_PX, axis=1).repeat(_BLOCK_PX, axis=2)[:, :rows, :width]
            dataset.write(fine, window=Window(0, top, width, rows))
    return path
