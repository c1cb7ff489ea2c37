"""Tiny real files: GeoTIFFs and pictures, written where a test asks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from numpy.typing import ArrayLike

from geoseg.domain.legend import Legend, legend_from_names
from geoseg.geodata.reading.opening import ignore_missing_georeference

UTM = "EPSG:32617"
UTM_TRANSFORM = Affine(1, 0, 500000, 0, -1, 4000000)
"""Pixels of one metre on the central meridian of UTM zone 17 north."""

WriteRaster = Callable[..., Path]


@pytest.fixture
def write_raster(tmp_path: Path) -> WriteRaster:
    """Write values (H, W) or (B, H, W) as a GeoTIFF and return its path."""

    def write(
        values: ArrayLike,
        name: str = "raster.tif",
        *,
        dtype: str = "uint8",
        crs: str | None = UTM,
        transform: Affine | None = UTM_TRANSFORM,
        mask: ArrayLike | None = None,
        palette: dict[int, tuple[int, int, int, int]] | None = None,
        **creation: object,
    ) -> Path:
        bands = np.asarray(values).astype(dtype)
        bands = bands[None] if bands.ndim == 2 else bands
        count, height, width = bands.shape
        options = {"crs": crs, "transform": transform, "photometric": "MINISBLACK", **creation}
        path = tmp_path / name
        with (
            rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True),
            ignore_missing_georeference(),
            rasterio.open(
                path, "w", driver="GTiff", height=height, width=width, count=count, dtype=dtype, **options
            ) as dataset,
        ):
            dataset.write(bands)
            if palette is not None:
                dataset.write_colormap(1, palette)
            if mask is not None:
                dataset.write_mask(np.asarray(mask, np.bool_))
        return path

    return write


@pytest.fixture
def legend() -> Legend:
    return legend_from_names(["field", "wood & heath", "water"])
