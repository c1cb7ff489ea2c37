"""Arrays as fair files, by the libraries that write them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from rasterio.io import MemoryFile

from geoseg.geodata.reading.opening import ignore_missing_georeference


def geotiff(bands: np.ndarray, **options: Any) -> bytes:
    count, height, width = bands.shape
    with MemoryFile() as memory, ignore_missing_georeference():
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype}
        with memory.open(**profile, **options) as dataset:
            dataset.write(bands)
        return bytes(memory.read())


def picture(values: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def ramp_jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    ramp = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8) * 3
    Image.fromarray(np.stack([ramp, ramp.T.reshape(32, 48), ramp[::-1]], axis=-1)).save(
        file, "JPEG", **options
    )
    return file.getvalue()
