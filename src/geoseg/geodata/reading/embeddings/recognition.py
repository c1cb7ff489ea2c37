"""Recognise rasters of embeddings by what makes it certain, and open them."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rasterio.io import DatasetReader

from geoseg.domain.feature_spaces import ALPHA_EARTH, FeatureSpace
from geoseg.geodata.reading.embeddings.alpha_earth import NAMES, is_alpha_earth, open_alpha_earth
from geoseg.geodata.reading.embeddings.tessera import (
    is_tessera,
    open_tessera,
    tessera_space,
)
from geoseg.geodata.reading.embeddings.tessera_tiles import open_tile, tile_files
from geoseg.geodata.reading.embeddings.tessera_zarr import find_zone, open_zone
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart
from geoseg.geodata.reading.grids import RasterInfo

Opened = tuple[RasterInfo, EmbeddingPart]
_TILE = ".npy"
_TESSERA_TAG = "TESSERA_DATASET_VERSION"


def array_files(path: Path) -> list[Path] | None:
    """Return the files of embeddings that GDAL does not read, a NumPy tile or a Zarr group; None for any other path.

    Raises:
        RasterError: The path is a Zarr store or a group without embeddings.
    """
    if path.suffix.lower() == _TILE and path.is_file():
        return tile_files(path)
    zone = find_zone(path)
    return None if zone is None else zone.files


def open_arrays(path: Path, stack: ExitStack) -> Opened | None:
    """Open embeddings that GDAL does not read until ``stack`` is closed; None for any other path.

    Raises:
        RasterError: They cannot be used.
        SettingsError: A package that reads them is not installed.
    """
    if path.suffix.lower() == _TILE and path.is_file():
        return open_tile(path, stack)
    zone = find_zone(path)
    return None if zone is None else open_zone(zone, path)


def open_quantised(dataset: DatasetReader, info: RasterInfo, stack: ExitStack) -> Opened | None:
    """Return the description and the bands of an open raster of quantised embeddings; None for any other raster.

    Raises:
        RasterError: The nodata value or the scales are missing, or the scales have another grid.
    """
    if is_alpha_earth(dataset):
        return open_alpha_earth(dataset, info)
    return open_tessera(dataset, info, stack) if is_tessera(dataset) else None


def space_of_floats(dataset: DatasetReader, info: RasterInfo) -> FeatureSpace | None:
    """Return the feature space of decoded embeddings by their band names or tags; None for any other raster."""
    if not all(dtype.startswith("float") for dtype in dataset.dtypes):
        return None
    if tuple(dataset.descriptions) == NAMES:
        return FeatureSpace(len(NAMES), ALPHA_EARTH, dataset.tags().get("MODEL_VERSION"))
    tags = dataset.tags()
    return tessera_space(tags, info.path, bands=info.bands) if _TESSERA_TAG in tags else None
