"""Read rasters in windows, as pixel values and validity."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart
from geoseg.geodata.reading.grids import RasterInfo, resampled_grid
from geoseg.geodata.reading.opening import check_georeferenced, read_bands
from geoseg.geodata.reading.parts import Part, has_palette, open_file
from geoseg.geodata.reading.resampling import Resampled
from geoseg.geodata.reading.sources import check_sources, local_files
from geoseg.geodata.reading.stacks import open_stack, stack_members
from geoseg.geodata.reading.validity import AS_DECLARED, Validity

__all__ = [
    "Raster",
    "RasterInfo",
    "Validity",
    "describe_any_raster",
    "describe_raster",
    "local_files",
    "open_raster",
]

_SAME_RESOLUTION = 1e-6
_AnyPart = Part | EmbeddingPart


class Raster:
    """An open raster, read in windows; a PixelSource and a context manager. It is thread-safe.

    Attributes:
        info: The grid of the windows; the resampled grid if the raster is resampled.
        bands: Number of bands B that ``read`` returns.
    """

    def __init__(self, info: RasterInfo, pixels: PixelSource, bands: int, *, open_files: ExitStack) -> None:
        self.info, self.bands = info, bands
        self._pixels, self._open_files = pixels, open_files
        self._lock = threading.Lock()

    @property
    def height(self) -> int:
        """Rows of pixels."""
        return self.info.height

    @property
    def width(self) -> int:
        """Columns of pixels."""
        return self.info.width

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return unscaled pixel values, float32 (B, h, w), and their validity (h, w).

        The mask and alpha band of the raster and its :class:`Validity` determine the valid pixels. The window may
        extend beyond the raster, where no pixel is valid. Invalid pixels are 0. A band without a value at a valid pixel
        is NaN; an 8-bit band keeps the stored value, because 0 and 255 are ordinary values there.

        Raises:
            RasterError: The file is damaged.
        """
        with self._lock:
            return self._pixels.read(window)

    def close(self) -> None:
        """Close the file after reads in other threads have finished."""
        with self._lock:
            self._open_files.close()

    def __enter__(self) -> Raster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def describe_raster(path: Path) -> RasterInfo:
    """Return a description of a raster, without reading its pixels.

    Raises:
        RasterError: The file does not exist, is not an image, is damaged, has no bands or complex values, or must be
            warped first.
    """
    info = describe_any_raster(path)
    check_georeferenced(info)
    return info


def describe_any_raster(path: Path) -> RasterInfo:
    """Return a description of a raster, even if it must be warped before use.

    Raises:
        RasterError: The file does not exist, is not an image, is damaged, or has no bands or complex values.
    """
    path = Path(path)
    check_sources(path)
    with _open_parts(path) as (info, _):
        return info


def open_raster(
    path: Path,
    *,
    bands: Sequence[int] | None = None,
    resolution_m: float | None = None,
    validity: Validity = AS_DECLARED,
) -> Raster:
    """Open a raster for reading in windows.

    A palette is read as red, green and blue. AlphaEarth and Tessera embeddings are decoded. A picture is rotated by its EXIF orientation. An alpha band that is not
    requested is read as validity. The bands of a stack are numbered through its files.

    Args:
        path: The file, a text file that lists the files of a stack, or a path of
            :func:`geoseg.domain.raster_stacks.stack_path`.
        bands: Bands to read, 1-based, in this order; None reads all except alpha.
        resolution_m: Ground size in metres of the pixels to read; None reads the stored pixels.
        validity: The rule for valid pixels.

    Raises:
        RasterError: The file does not exist, is not an image, is damaged, has no bands or complex values, or must be
            warped first; a band does not exist; or a resolution is given and the raster has no CRS.
    """
    path = Path(path)
    with ExitStack() as stack:
        info, parts = stack.enter_context(_open_parts(path))
        check_georeferenced(info)
        _check_nodata(info, validity)
        chosen = _chosen_parts(parts, info, bands)
        pixels: PixelSource = _StoredPixels(chosen, validity=validity)
        if resolution_m is not None:
            info, pixels = _resampled(info, pixels, resolution_m)
        open_files = stack.pop_all()
    return Raster(info, pixels, sum(len(part.bands) for part in chosen), open_files=open_files)


@contextmanager
def _open_parts(path: Path) -> Iterator[tuple[RasterInfo, Sequence[_AnyPart]]]:
    """Open a raster or a stack, and yield its description and its open files with their bands except alpha."""
    members = stack_members(path)
    if members is not None:
        with open_stack(members, path) as opened:
            yield opened
        return
    with open_file(path) as (info, part):
        yield info, [part]


def _check_nodata(info: RasterInfo, validity: Validity) -> None:
    """Check that the pixel type can hold the nodata value."""
    kind, nodata = np.dtype(info.dtype), validity.nodata
    if nodata is None or kind.kind not in "iu":
        return
    low, high = np.iinfo(kind).min, np.iinfo(kind).max
    if not low <= nodata <= high or nodata != int(nodata):
        raise RasterError(
            "the given nodata value is outside the pixel type of this raster",
            where=info.path,
            expected=f"a whole number from {low} to {high} ({kind})",
            got=f"{nodata:g}",
        )


class _StoredPixels:
    """The stored pixels of one file or of a stack, with the palette applied; a PixelSource."""

    def __init__(self, parts: Sequence[_AnyPart], *, validity: Validity) -> None:
        self._parts, self._validity = parts, validity
        first = parts[0]
        has_colors = isinstance(first, Part) and has_palette(first.dataset)
        self._colors = _Palette(first.dataset, first.path) if isinstance(first, Part) and has_colors else None
        grid = first.dataset if isinstance(first, Part) else first.vectors
        self.height, self.width = int(grid.height), int(grid.width)

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        pixels = np.zeros(
            (sum(len(part.bands) for part in self._parts), window.height, window.width), np.float32
        )
        valid = np.zeros((window.height, window.width), np.bool_)
        part = window.clipped(self.height, self.width)
        if part.height and part.width:
            top, left = part.row - window.row, part.col - window.col
            box = np.s_[top : top + part.height, left : left + part.width]
            pixels[:, *box], valid[box] = self._read_inside(part)
        return pixels, valid

    def _read_inside(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        if self._colors is None:
            return self._read_bands(window)
        index, has_value, colors = self._colors.read(window)
        valid = has_value[0] & (colors[..., 3] > 0) & self._differs_from_nodata(index)[0]
        values = np.moveaxis(colors, -1, 0)[[band - 1 for part in self._parts for band in part.bands]]
        return np.where(valid, values.astype(np.float32), np.float32(0)), valid

    def _read_bands(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        read = [self._read_part(part, window) for part in self._parts]
        pixels, has_value = (
            read[0] if len(read) == 1 else (np.concatenate(arrays) for arrays in zip(*read, strict=True))
        )
        valid = self._validity.of_pixels(has_value)
        if not self._validity.is_strict:
            for dtype, own, stored in zip(self._types(), has_value, pixels, strict=True):
                if dtype != "uint8":
                    stored[valid & ~own] = np.nan
        return np.where(valid, pixels, np.float32(0)), valid

    def _types(self) -> Iterator[str]:
        """Yield the data type of each band."""
        for part in self._parts:
            types = part.dataset.dtypes if isinstance(part, Part) else None
            yield from ("float32" if types is None else types[band - 1] for band in part.bands)

    def _read_part(self, part: _AnyPart, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return the values of the bands of one file and where they have one, both (B, h, w)."""
        if isinstance(part, EmbeddingPart):
            return part.read(window)
        values, has_value = read_bands(part.dataset, part.path, bands=list(part.bands), window=window)
        with np.errstate(over="ignore", invalid="ignore"):
            pixels = values.astype(np.float32)
        has_value &= np.isfinite(pixels) & self._differs_from_nodata(values)
        return pixels, has_value

    def _differs_from_nodata(self, values: NDArray[Any]) -> NDArray[np.bool_]:
        """Return where values differ from the nodata value given by the user."""
        if self._validity.nodata is None:
            return np.ones(values.shape, np.bool_)
        with np.errstate(over="ignore"):
            differs: NDArray[np.bool_] = values != self._validity.nodata
        return differs


class _Palette:
    """An open file with a colour table.

    Args:
        dataset: The file.
        path: Its path, for errors.
    """

    def __init__(self, dataset: DatasetReader, path: Path) -> None:
        self._dataset, self._path, self._table = dataset, path, _palette(dataset)

    def read(self, window: Window) -> tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.uint8]]:
        """Return indices (1, h, w), where they are values (1, h, w), and their colours (h, w, 4)."""
        index, has_value = read_bands(self._dataset, self._path, bands=[1], window=window)
        return index, has_value, self._table[index[0].astype(np.intp)]


def _palette(dataset: DatasetReader) -> NDArray[np.uint8]:
    """Return red, green, blue, alpha by index (n, 4); an index without a colour is invalid (alpha 0)."""
    colors = dataset.colormap(1)
    table = np.zeros((max(256, np.iinfo(dataset.dtypes[0]).max + 1), 4), np.uint8)
    table[list(colors)] = list(colors.values())
    return table


def _chosen_parts(parts: Sequence[_AnyPart], info: RasterInfo, bands: Sequence[int] | None) -> list[_AnyPart]:
    """Return the open files with only the chosen bands, in the order of the choice."""
    if bands is None:
        return list(parts)
    first = parts[0]
    if len(parts) == 1 and isinstance(first, Part):
        # An alpha band may be requested by its number, but is not one of the data bands.
        known = [1, 2, 3] if has_palette(first.dataset) else list(first.dataset.indexes)
        numbered: list[tuple[_AnyPart, int]] = [(first, band) for band in known]
    else:
        numbered = [(part, band) for part in parts for band in part.bands]
    missing = [band for band in bands if not 1 <= band <= len(numbered)]
    if missing or not bands:
        raise RasterError(
            "the raster has no such band" if missing else "no band is requested",
            where=info.path,
            expected=f"bands 1 to {len(numbered)}",
            got=", ".join(map(str, missing)) or None,
            hint="Band numbers start at 1.",
        )
    groups = groupby((numbered[band - 1] for band in bands), key=lambda one: id(one[0]))
    chosen = [list(group) for _, group in groups]
    return [replace(group[0][0], bands=tuple(band for _, band in group)) for group in chosen]


def _resampled(info: RasterInfo, pixels: PixelSource, resolution_m: float) -> tuple[RasterInfo, PixelSource]:
    grid, rows, cols = resampled_grid(info, resolution_m)
    if max(abs(rows - 1), abs(cols - 1)) < _SAME_RESOLUTION:
        return info, pixels
    return grid, Resampled(pixels, height=grid.height, width=grid.width, row_factor=rows, col_factor=cols)
