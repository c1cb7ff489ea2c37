"""Write an array to a GeoTIFF, so that it is read like any other raster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray

from geoseg.errors import RasterError
from geoseg.geodata.reading.opening import ignore_missing_georeference

_WIDER = {"bool": "uint8", "float16": "float32"}


def write_array(
    path: Path,
    pixels: NDArray[Any],
    *,
    crs: str | None = None,
    transform: Sequence[float] | None = None,
    nodata: float | None = None,
) -> None:
    """Write an array as an uncompressed GeoTIFF without alpha band.

    Args:
        path: The file; one that is there is replaced.
        pixels: (B, H, W) or (H, W), whole numbers or floats.
        crs: Coordinate reference system, as WKT or an authority's code; None for none.
        transform: Affine a, b, c, d, e, f from pixel corners (col, row) to x, y; None for none.
        nodata: Value that stands for no data; None for none.

    Raises:
        RasterError: The array has another shape or type, or no pixels.
    """
    bands = pixels[np.newaxis] if pixels.ndim == 2 else pixels
    if bands.ndim != 3 or not bands.size or bands.dtype.kind not in "buif":
        raise RasterError(
            "this array is no raster",
            expected="numbers of shape (bands, rows, columns) or (rows, columns)",
            got=f"{pixels.dtype} of shape {pixels.shape}",
        )
    bands = bands.astype(_WIDER.get(bands.dtype.name, bands.dtype), copy=False)
    count, height, width = bands.shape
    grid = {"count": count, "height": height, "width": width, "dtype": bands.dtype.name}
    place = {"crs": crs, "transform": None if transform is None else Affine(*transform), "nodata": nodata}
    known = {name: value for name, value in place.items() if value is not None}
    options = {**grid, **known, "photometric": "MINISBLACK", "BIGTIFF": "IF_SAFER"}
    with ignore_missing_georeference(), rasterio.open(path, "w", driver="GTiff", **options) as dataset:
        dataset.write(bands)
