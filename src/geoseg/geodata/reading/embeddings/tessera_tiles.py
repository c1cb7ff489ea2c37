"""Tessera embeddings as NumPy tiles: ``grid_LON_LAT.npy``, ``grid_LON_LAT_scales.npy`` and a land mask.

The land mask, a GeoTIFF of the same name, has the grid. Water is 0 in it and has no embeddings.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.embeddings.tessera import (
    apply_scales,
    missing_scales,
    scales_beside,
    tessera_space,
)
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart, Vectors
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.opening import describe, open_upright, read_bands

_LAND_MASKS = ("global_0.1_degree_tiff_all", "landmasks")
_SUFFIXES = (".tiff", ".tif")
_AXES = 3
_MAX_FOLDERS_UP = 5


class TesseraTile:
    """Arrays of a tile, read from disk window by window.

    Args:
        stored: Integers (H, W, B).
        scales: Scales (H, W).
        land: The land mask.
        land_path: Its path, for errors.
    """

    def __init__(
        self, stored: NDArray[np.int8], scales: NDArray[np.float32], *, land: DatasetReader, land_path: Path
    ) -> None:
        self._stored, self._scales, self._land, self._land_path = stored, scales, land, land_path
        self.height, self.width = stored.shape[:2]

    def read(self, window: Window, bands: Sequence[int]) -> Vectors:
        """Return the decoded values of bands in a window inside the tile."""
        box = np.s_[window.row : window.row + window.height, window.col : window.col + window.width]
        stored = np.moveaxis(self._stored[box], -1, 0)[[band - 1 for band in bands]]
        land, _ = read_bands(self._land, self._land_path, bands=[1], window=window)
        return apply_scales(stored, np.where(land[0] != 0, self._scales[box], np.float32(np.nan)))


def tile_files(path: Path) -> list[Path]:
    """Return the files of a tile that exist: integers, scales, land mask."""
    return [file for file in (path, scales_beside(path), _land_mask(path)) if file is not None]


def open_tile(path: Path, stack: ExitStack) -> tuple[RasterInfo, EmbeddingPart]:
    """Open a tile until ``stack`` is closed; return its description and its bands.

    Raises:
        RasterError: A file is missing or damaged, or the sizes differ.
    """
    stored = _load(path)
    scales_path, land_path = scales_beside(path), _land_mask(path)
    if stored.ndim != _AXES or stored.dtype != np.int8:
        raise RasterError(
            "this array is no tile of Tessera embeddings",
            where=path,
            expected="int8 (rows, columns, bands)",
            got=f"{stored.dtype} {stored.shape}",
        )
    if scales_path is None:
        raise missing_scales(path)
    if land_path is None:
        raise RasterError(
            "the land mask of this tile is missing, which has its position",
            where=path,
            expected=f"{path.stem}.tiff beside it, or in a folder {_LAND_MASKS[0]} above it",
            hint="Download it with the tile: geotessera download --format npy.",
        )
    scales = _load(scales_path)
    land = stack.enter_context(open_upright(land_path))
    info = describe(land, land_path)
    _check_sizes(stored, scales, info, scales_path=scales_path)
    bands = stored.shape[2]
    info = replace(
        info,
        path=path,
        bands=bands,
        dtype="float32",
        nodata=None,
        feature_space=tessera_space({}, path, bands=bands),
    )
    vectors = TesseraTile(stored, scales, land=land, land_path=land_path)
    return info, EmbeddingPart(vectors, path, tuple(range(1, bands + 1)))


def _check_sizes(stored: NDArray[Any], scales: NDArray[Any], info: RasterInfo, *, scales_path: Path) -> None:
    size = f"{stored.shape[0]} x {stored.shape[1]} px, as the embeddings"
    if scales.shape != stored.shape[:2] or scales.dtype.kind != "f":
        raise RasterError(
            "the scales do not have the grid of the embeddings",
            where=scales_path,
            expected=f"float32, {size}",
            got=f"{scales.dtype} {scales.shape}",
        )
    if (info.height, info.width) != stored.shape[:2]:
        raise RasterError(
            "the land mask does not have the grid of the embeddings",
            where=info.path,
            expected=size,
            got=f"{info.height} x {info.width} px",
        )


def _land_mask(path: Path) -> Path | None:
    folders = [
        path.parent,
        *(up / name for up in list(path.absolute().parents)[:_MAX_FOLDERS_UP] for name in _LAND_MASKS),
    ]
    files = (folder / (path.stem + suffix) for folder in folders for suffix in _SUFFIXES)
    return next((file for file in files if file.is_file()), None)


def _load(path: Path) -> NDArray[Any]:
    try:
        found: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise RasterError("this NumPy array cannot be read", where=path, got=error) from error
    return found
