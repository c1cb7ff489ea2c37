"""Files of embeddings as their publishers write them, from vectors (B, H, W): types, layout, nodata, tags, chunks.

The facts are those of "AlphaEarth Foundations GCS data" (Google), of the copy on Source Cooperative, and of the
documentation of GeoTessera.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from affine import Affine
from numpy.typing import NDArray
from rasterio.enums import Resampling
from tests.embeddings.vectors import CRS, NORTH_UP

Holes = NDArray[np.bool_]
"""Where there is no data (H, W)."""


def alpha_earth_integers(vectors: NDArray[np.float32], holes: Holes) -> NDArray[np.int8]:
    """Return vectors of length 1 as int8 (64, H, W): the root of the value times 127.5; -128 in holes."""
    stored = np.sign(vectors) * np.minimum(np.rint(127.5 * np.sqrt(np.abs(vectors))), 127)
    return np.where(holes, -128, stored).astype(np.int8)


def alpha_earth_values(stored: NDArray[np.int8]) -> NDArray[np.float32]:
    """Return the values of stored integers by the published formula."""
    number = stored.astype(np.float64)
    return ((number / 127.5) ** 2 * np.sign(number)).astype(np.float32)


def write_alpha_earth(
    path: Path,
    stored: NDArray[np.int8],
    *,
    nodata: int | None = -128,
    is_bottom_up: bool = True,
    **creation: Any,
) -> Path:
    """Write a tiled GeoTIFF with named bands, by default bottom-up, with overviews that are means of the integers."""
    _, height, width = stored.shape
    a, b, c, d, e, f = NORTH_UP[:6]
    transform = Affine(a, b, c, d, -e, f + e * height) if is_bottom_up else NORTH_UP
    options = {"tiled": True, "blockxsize": 64, "blockysize": 64, "compress": "deflate", "interleave": "band"}
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(stored),
        height=height,
        width=width,
        dtype="int8",
        crs=CRS,
        transform=transform,
        nodata=nodata,
        **{**options, **creation},
    ) as dataset:
        dataset.write(stored[:, ::-1] if is_bottom_up else stored)
        dataset.descriptions = [f"A{band:02}" for band in range(len(stored))]
        dataset.build_overviews([2, 4], Resampling.average)
    return path


def write_vrt(path: Path, source: Path) -> Path:
    """Write a virtual raster that shows a bottom-up file from north to south, as Source Cooperative provides them."""
    with rasterio.open(source) as dataset:
        count, height, width = dataset.count, dataset.height, dataset.width
        wkt = dataset.crs.to_wkt().replace("&", "&amp;").replace("<", "&lt;")
    numbers = ", ".join(map(str, NORTH_UP.to_gdal()))
    bands = "".join(
        f'<VRTRasterBand dataType="Int8" band="{band}"><Description>A{band - 1:02}</Description>'
        "<NoDataValue>-128</NoDataValue>"
        + "".join(
            f'<SimpleSource><SourceFilename relativeToVRT="1">{source.name}</SourceFilename><SourceBand>{band}</SourceBand>'
            f'<SrcRect xOff="0" yOff="{height - 1 - row}" xSize="{width}" ySize="1"/>'
            f'<DstRect xOff="0" yOff="{row}" xSize="{width}" ySize="1"/></SimpleSource>'
            for row in range(height)
        )
        + "</VRTRasterBand>"
        for band in range(1, count + 1)
    )
    path.write_text(
        f'<VRTDataset rasterXSize="{width}" rasterYSize="{height}"><SRS>{wkt}</SRS>'
        f"<GeoTransform>{numbers}</GeoTransform>{bands}</VRTDataset>"
    )
    return path


def tessera_integers(
    vectors: NDArray[np.float32], holes: Holes
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return vectors as int8 (B, H, W) and scales (H, W): the largest value of each pixel is 127; NaN in holes."""
    scales = (np.abs(vectors).max(axis=0) / 127).astype(np.float32)
    stored = np.rint(vectors / scales).astype(np.int8)
    return np.where(holes, 0, stored).astype(np.int8), np.where(holes, np.nan, scales).astype(np.float32)


def write_tessera_pair(
    path: Path,
    stored: NDArray[np.int8],
    scales: NDArray[np.float32] | None,
    *,
    version: str | None = "1.1",
    scales_transform: Affine = NORTH_UP,
) -> Path:
    """Write integers and, beside them, their scales as GeoTIFF."""
    _write(path, stored, tags={} if version is None else _tags(version))
    if scales is not None:
        _write(
            path.with_name(f"{path.stem}_scales.tif"), scales[None], nodata=np.nan, transform=scales_transform
        )
    return path


def write_tessera_floats(path: Path, vectors: NDArray[np.float32], *, version: str = "1.1") -> Path:
    """Write decoded values as ``geotessera download --format tiff`` does: float32, NaN, tags, named bands."""
    _write(path, vectors, nodata=np.nan, tags=_tags(version), names="Tessera_Band_{}")
    return path


def write_earth_engine_floats(path: Path, vectors: NDArray[np.float32]) -> Path:
    """Write AlphaEarth values as an export of Earth Engine has them: floats with named bands."""
    _write(path, vectors.astype(np.float64), nodata=np.nan, names="A{:02}")
    return path


def write_tessera_tile(
    folder: Path,
    stored: NDArray[np.int8],
    scales: NDArray[np.float32],
    *,
    water: Holes | None = None,
    version: str | None = "1.1",
) -> Path:
    """Write a NumPy tile with its scales, its land mask in the folder for land masks, and the metadata of the download."""
    name = "grid_15.05_45.15"
    tile = folder / "global_0.1_degree_representation" / "2024" / name / f"{name}.npy"
    tile.parent.mkdir(parents=True)
    np.save(tile, np.moveaxis(stored, 0, -1))
    np.save(tile.with_name(f"{name}_scales.npy"), np.nan_to_num(scales, nan=np.nan))
    land = np.ones(scales.shape, np.uint8) if water is None else (~water).astype(np.uint8)
    masks = folder / "global_0.1_degree_tiff_all"
    masks.mkdir()
    _write(masks / f"{name}.tiff", land[None])
    if version is not None:
        content = {"dataset_version": version, "dataset_variant": "cambridge"}
        (folder / "tessera_metadata.json").write_text(json.dumps(content))
    return tile


def write_tessera_zarr(
    store: Path,
    stored: NDArray[np.int8],
    scales: NDArray[np.float32],
    *,
    years: tuple[int, ...] = (2024,),
    version: str = "1.1",
    chunk_px: int = 32,
) -> Path:
    """Write a Zarr v3 store with one UTM zone, and return the group of the zone; the last year has the data.

    Chunks of 32 x 32 px with all bands lie in shards. A scale of +inf is land without data yet.
    """
    import zarr

    root = zarr.open_group(str(store), mode="w", zarr_format=3)
    root.attrs.update({"geoemb:type": "pixel", "geoemb:model": f"https://geotessera.org/model/{version}"})
    zone = root.create_group("utm33")
    bands, height, width = stored.shape
    zone.attrs.update(
        {
            "proj:code": CRS,
            "spatial:dimensions": ["y", "x"],
            "spatial:transform_type": "affine",
            "spatial:transform": list(NORTH_UP[:6]),
            "spatial:shape": [height, width],
            "spatial:registration": "pixel",
        }
    )
    shard = (-(-height // chunk_px) * chunk_px, -(-width // chunk_px) * chunk_px)
    embeddings = zone.create_array(
        "embeddings",
        shape=(len(years), bands, height, width),
        dtype="int8",
        chunks=(1, bands, chunk_px, chunk_px),
        shards=(1, bands, *shard),
        dimension_names=["time", "band", "y", "x"],
    )
    own = zone.create_array(
        "scales",
        shape=(len(years), height, width),
        dtype="float32",
        chunks=(1, chunk_px, chunk_px),
        shards=(1, *shard),
        fill_value=np.inf,
        dimension_names=["time", "y", "x"],
    )
    time = zone.create_array("time", shape=(len(years),), dtype="int32", dimension_names=["time"])
    time[:] = np.array(years, np.int32)
    embeddings[-1], own[-1] = stored, scales
    return store / "utm33"


def _tags(version: str) -> dict[str, str]:
    return {
        "TESSERA_DATASET_VERSION": version,
        "TESSERA_DATASET_VARIANT": "cambridge",
        "TESSERA_YEAR": "2024",
        "TESSERA_DESCRIPTION": "GeoTessera satellite embedding tile",
    }


def _write(
    path: Path,
    values: NDArray[Any],
    *,
    nodata: float | None = None,
    tags: dict[str, str] | None = None,
    names: str | None = None,
    transform: Affine = NORTH_UP,
) -> None:
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        count=len(values),
        height=values.shape[1],
        width=values.shape[2],
        dtype=values.dtype,
        crs=CRS,
        transform=transform,
        nodata=nodata,
        tiled=True,
        blockxsize=256,
        blockysize=256,
        compress="lzw",
    ) as dataset:
        dataset.write(values)
        dataset.update_tags(**(tags or {}))
        if names is not None:
            dataset.descriptions = [names.format(band) for band in range(len(values))]
