"""Tessera embeddings: 128 bands of int8 times a float32 scale per pixel.

Feng et al., "TESSERA: temporal embeddings of surface spectra for Earth representation and analysis" (2025); formats as
documented by GeoTessera (geotessera.readthedocs.io). A scale that is not finite marks a pixel without data.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from geoseg.domain.feature_spaces import TESSERA, FeatureSpace
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart, Vectors
from geoseg.geodata.reading.grids import RasterInfo, check_same_grid
from geoseg.geodata.reading.opening import describe, open_upright, read_bands

BANDS = 128
METADATA = "tessera_metadata.json"
_VERSION, _VARIANT = "TESSERA_DATASET_VERSION", "TESSERA_DATASET_VARIANT"
_SCALES = "_scales"
_MAX_FOLDERS_UP = 4


def apply_scales(stored: NDArray[np.int8], scales: NDArray[np.float32]) -> Vectors:
    """Return the values of stored integers (B, h, w) with scales (h, w)."""
    has_value = np.isfinite(scales)
    values: NDArray[np.float32] = np.multiply(
        stored, np.where(has_value, scales, np.float32(0)), dtype=np.float32
    )
    return values, np.broadcast_to(has_value, values.shape).copy()


class TesseraRaster:
    """An open raster of integers, with an open raster of their scales.

    Args:
        stored: The integers.
        scales: The scales, on the same grid.
        paths: Paths of both, for errors.
    """

    def __init__(self, stored: DatasetReader, scales: DatasetReader, paths: tuple[Path, Path]) -> None:
        self._stored, self._scales, self._paths = stored, scales, paths
        self.height, self.width = int(stored.height), int(stored.width)

    def read(self, window: Window, bands: Sequence[int]) -> Vectors:
        """Return the decoded values of bands in a window inside the raster."""
        stored, _ = read_bands(self._stored, self._paths[0], bands=list(bands), window=window)
        scales, has_scale = read_bands(self._scales, self._paths[1], bands=[1], window=window)
        return apply_scales(stored, np.where(has_scale[0], scales[0], np.float32(np.nan)))


def is_tessera(dataset: DatasetReader) -> bool:
    """Return whether a raster has the bands of quantised Tessera embeddings."""
    return dataset.count == BANDS and set(dataset.dtypes) == {"int8"}


def scales_beside(path: Path) -> Path | None:
    """Return the file of the scales of a file of integers, by its name, or None."""
    if not path.name:
        return None
    stem = path.stem.removesuffix("_embeddings").removesuffix("_embedding")
    names = (f"{path.stem}{_SCALES}{path.suffix}", f"{stem}{_SCALES}{path.suffix}")
    return next((path.with_name(name) for name in names if path.with_name(name).is_file()), None)


def is_scales_file(path: Path) -> bool:
    """Return whether a raster holds the scales of integers beside it, and is no raster of its own."""
    if not path.stem.endswith(_SCALES):
        return False
    stem = path.stem.removesuffix(_SCALES)
    for name in (stem, f"{stem}_embeddings", f"{stem}_embedding"):
        beside = path.with_name(name + path.suffix)
        if beside.is_file() and scales_beside(beside) == path:
            with open_upright(beside) as dataset:
                return is_tessera(dataset)
    return False


def missing_scales(path: Path) -> RasterError:
    """Return the error for integers without scales."""
    return RasterError(
        "128 bands of int8 without their scales cannot be decoded",
        where=path,
        expected=f"Tessera embeddings, with a float32 scale per pixel in {path.stem}_scales{path.suffix} beside it",
        got="no such file",
        hint="Put the scales beside the embeddings, or give a GeoTIFF with decoded values, as `geotessera download` writes.",
    )


def open_tessera(
    dataset: DatasetReader, info: RasterInfo, stack: ExitStack
) -> tuple[RasterInfo, EmbeddingPart]:
    """Return the description and the bands of an open raster of integers; open its scales until ``stack`` is closed.

    Raises:
        RasterError: There are no scales, or they have another grid or are no floats of one band.
    """
    path = scales_beside(info.path)
    if path is None:
        raise missing_scales(info.path)
    scales = stack.enter_context(open_upright(path))
    own = describe(scales, path)
    check_same_grid(own, info)
    if scales.count != 1 or np.dtype(scales.dtypes[0]).kind != "f":
        raise _no_scales(path, f"{scales.count} band(s) of {scales.dtypes[0]}")
    space = tessera_space(dataset.tags(), info.path, bands=BANDS)
    info = replace(info, dtype="float32", nodata=None, feature_space=space)
    vectors = TesseraRaster(dataset, scales, (info.path, path))
    return info, EmbeddingPart(vectors, info.path, tuple(range(1, BANDS + 1)))


def _no_scales(path: Path, got: str) -> RasterError:
    return RasterError(
        "these are no scales of Tessera embeddings", where=path, expected="one band of float32", got=got
    )


def tessera_space(tags: Mapping[str, Any], path: Path, *, bands: int) -> FeatureSpace:
    """Return the feature space by the tags of a file, or else by the metadata in its folder or the folders above."""
    version, variant = tags.get(_VERSION), tags.get(_VARIANT)
    for folder in list(path.absolute().parents)[: 0 if version else _MAX_FOLDERS_UP]:
        if (folder / METADATA).is_file():
            found = _metadata(folder / METADATA)
            version, variant = found.get("dataset_version"), found.get("dataset_variant")
            break
    return FeatureSpace(bands, TESSERA, plain_version(version), variant if version else None)


def plain_version(text: object) -> str | None:
    """Return a version as two numbers, so that all formats agree.

    >>> plain_version("v1"), plain_version("1.1"), plain_version(None)
    ('1.0', '1.1', None)
    """
    found = re.fullmatch(r"v?(\d+)(?:\.(\d+))?", str(text or ""))
    return f"{found[1]}.{found[2] or 0}" if found else str(text) if text else None


def _metadata(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RasterError(
            "this metadata of Tessera embeddings cannot be read", where=path, got=error
        ) from error
    return found if isinstance(found, dict) else {}
