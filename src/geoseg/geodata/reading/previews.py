"""Coarse copies of a raster, so that an overview of many gigabytes appears at once."""

from __future__ import annotations

import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import EnvError

from geoseg.domain.windows import Window, grid
from geoseg.geodata.reading.rasters import Raster, describe_raster, open_raster

FINEST_STEP = 8
"""Pixels of the raster along a side of one pixel of the finest copy; finer tiles are read from the raster."""
_CHUNK_PX = 2_048
_MAX_HANDLES = 6
_SAMPLES, _SAMPLE_PX = 24, 16
_WHOLE_ROWS_PX = 4_096
"""Of a raster up to this width, whole rows are read for the samples."""

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]


class RasterPool:
    """Open handles of one raster, so that threads read different windows at the same time.

    Args:
        path: The raster.
    """

    def __init__(self, path: Path) -> None:
        self._path, self.info = path, describe_raster(path)
        self._idle: OrderedDict[tuple[tuple[int, ...], int], Raster] = OrderedDict()
        self._lock = threading.Lock()

    @contextmanager
    def handle(self, bands: Sequence[int]) -> Iterator[Raster]:
        """Yield a raster that reads these bands, for one thread."""
        wanted = tuple(bands)
        with self._lock:
            key = next((key for key in self._idle if key[0] == wanted), None)
            raster = self._idle.pop(key) if key is not None else None
        if raster is None:
            raster = open_raster(self._path, bands=wanted)
        try:
            yield raster
        finally:
            surplus = list[Raster]()
            with self._lock:
                self._idle[wanted, id(raster)] = raster
                while len(self._idle) > _MAX_HANDLES:
                    surplus.append(self._idle.popitem(last=False)[1])
            for one in surplus:
                _close(one)

    def read(self, window: Window, bands: Sequence[int]) -> tuple[Floats, Bools]:
        """Read a window as :meth:`Raster.read` does."""
        with self.handle(bands) as raster:
            return raster.read(window)

    def close(self) -> None:
        """Close the idle handles."""
        with self._lock:
            idle, self._idle = list(self._idle.values()), OrderedDict()
        for raster in idle:
            _close(raster)


def _close(raster: Raster) -> None:
    # rasterio reports an environment of GDAL that belongs to the thread that opened the file; the file is closed.
    with suppress(EnvError):
        raster.close()


def mean_blocks(pixels: Floats, valid: Bools, step: int) -> tuple[Floats, Bools]:
    """Average squares of ``step`` pixels over their valid values; a square with a valid pixel is valid.

    Args:
        pixels: (B, h, w), with h and w multiples of ``step``; NaN has no part in the mean.
        valid: (h, w).
        step: Side of the squares.

    Returns:
        Means (B, h / step, w / step), 0 in invalid squares, and their validity.
    """
    if step == 1:
        return np.where(valid, np.nan_to_num(pixels, nan=0.0), np.float32(0)), valid
    bands, height, width = pixels.shape
    rows, cols = height // step, width // step
    is_plain = bool(valid.all()) and not np.isnan(pixels).any()
    blocks = pixels.reshape(bands, rows, step, cols, step)
    if is_plain:
        return blocks.mean(axis=(2, 4), dtype=np.float32), np.ones((rows, cols), np.bool_)
    known = valid & ~np.isnan(pixels)
    total = np.where(known, pixels, np.float32(0)).reshape(blocks.shape).sum(axis=(2, 4))
    count = known.reshape(blocks.shape).sum(axis=(2, 4))
    found: Bools = np.asarray(valid.reshape(rows, step, cols, step).any(axis=(1, 3)))
    return (total / np.maximum(count, 1)).astype(np.float32), found


class Preview:
    """Copies of a raster at steps 8, 16, 32, ..., in a folder, and a rough look until they are built.

    Args:
        pool: The raster.
        folder: Folder of the copies; it appears when they are complete.
        levels: Number of levels of tiles.

    Attributes:
        values: A sample of the valid values of each band.
    """

    def __init__(self, pool: RasterPool, folder: Path, levels: int) -> None:
        self._pool, self._folder = pool, folder
        self._bands = tuple(range(1, 1 + pool.info.bands))
        self._steps = [1 << k for k in range(levels) if 1 << k >= FINEST_STEP]
        self._arrays: dict[int, tuple[NDArray[np.generic], NDArray[np.uint8]]] = {}
        self._sample, self._sample_valid, self.values = _rough_look(pool, self._bands)
        self._open()

    @property
    def is_ready(self) -> bool:
        """Whether the copies are complete; a small raster needs none."""
        return not self._steps or bool(self._arrays)

    def read(self, window: Window, step: int, bands: Sequence[int]) -> tuple[Floats, Bools]:
        """Read a window of the raster with one pixel for each square of ``step`` pixels.

        Args:
            window: The window in pixels of the raster; height and width are multiples of ``step``.
            step: A power of 2.
            bands: 1-based.
        """
        if step < FINEST_STEP:
            return mean_blocks(*self._pool.read(window, bands), step)
        if not self._arrays:
            return self._rough(window, step, bands)
        pixels, valid = self._arrays[step]
        rows, cols = window.height // step, window.width // step
        found, known = np.zeros((len(bands), rows, cols), np.float32), np.zeros((rows, cols), np.bool_)
        part = Window(window.row // step, window.col // step, rows, cols)
        inside = part.clipped(*valid.shape)
        if inside.height and inside.width:
            there = np.s_[inside.row : inside.row + inside.height, inside.col : inside.col + inside.width]
            top, left = inside.row - part.row, inside.col - part.col
            here = np.s_[top : top + inside.height, left : left + inside.width]
            known[here] = valid[there] > 0
            for own, band in zip(found, bands, strict=True):
                own[here] = pixels[band - 1][there]
        return found, known

    def build(self, is_stopping: Callable[[], bool]) -> None:
        """Build the copies, unless they exist; stop early when ``is_stopping`` says so."""
        if self.is_ready:
            return
        work = self._folder.with_name(f".{self._folder.name}.{token_hex(4)}")
        work.mkdir(parents=True)
        try:
            if self._write(work, is_stopping):
                work.replace(self._folder)
        except OSError:
            if not self._folder.is_dir():  # Another process may have been faster.
                raise
        finally:
            shutil.rmtree(work, ignore_errors=True)
        self._open()

    def _open(self) -> None:
        if not self._steps or not self._folder.is_dir():
            return
        self._arrays = {
            step: (
                np.load(self._folder / f"pixels_{step}.npy", mmap_mode="r"),
                np.load(self._folder / f"valid_{step}.npy", mmap_mode="r"),
            )
            for step in self._steps
        }

    def _write(self, work: Path, is_stopping: Callable[[], bool]) -> bool:
        """Write all copies; return whether they are complete."""
        info = self._pool.info
        dtype = np.uint8 if info.dtype == "uint8" else np.float32
        before: tuple[NDArray[np.generic], NDArray[np.uint8]] | None = None
        for step in self._steps:
            rows, cols = -(-info.height // step), -(-info.width // step)
            pixels = np.lib.format.open_memmap(
                work / f"pixels_{step}.npy", "w+", dtype, (info.bands, rows, cols)
            )
            valid = np.lib.format.open_memmap(work / f"valid_{step}.npy", "w+", np.uint8, (rows, cols))
            for cell in grid(rows, cols, _CHUNK_PX // FINEST_STEP):
                if is_stopping():
                    return False
                means, known = self._coarser(cell, step, before)
                box = np.s_[cell.row : cell.row + cell.height, cell.col : cell.col + cell.width]
                pixels[:, *box] = np.rint(means) if dtype is np.uint8 else means
                valid[box] = known
            pixels.flush()
            valid.flush()
            before = pixels, valid
        return True

    def _coarser(
        self, cell: Window, step: int, before: tuple[NDArray[np.generic], NDArray[np.uint8]] | None
    ) -> tuple[Floats, Bools]:
        """Return the means of a cell of a copy, from the raster or from the copy at half the step."""
        if before is None:
            box = Window(cell.row * step, cell.col * step, cell.height * step, cell.width * step)
            return mean_blocks(*self._pool.read(box, self._bands), step)
        pixels, valid = before
        part = np.s_[2 * cell.row : 2 * (cell.row + cell.height), 2 * cell.col : 2 * (cell.col + cell.width)]
        taken, known = pixels[:, *part].astype(np.float32), valid[part] > 0
        rows, cols = 2 * cell.height - known.shape[0], 2 * cell.width - known.shape[1]
        taken, known = np.pad(taken, ((0, 0), (0, rows), (0, cols))), np.pad(known, ((0, rows), (0, cols)))
        return mean_blocks(taken, known, 2)

    def _rough(self, window: Window, step: int, bands: Sequence[int]) -> tuple[Floats, Bools]:
        """Return the nearest of the samples, while the copies are being built."""
        info = self._pool.info
        row = window.row + step * (np.arange(window.height // step) + 0.5)
        col = window.col + step * (np.arange(window.width // step) + 0.5)
        rows, cols = self._sample_valid.shape
        down = np.clip((row * rows / info.height).astype(np.intp), 0, rows - 1)
        across = np.clip((col * cols / info.width).astype(np.intp), 0, cols - 1)
        is_inside = (row < info.height)[:, None] & (col < info.width)
        chosen = self._sample[[band - 1 for band in bands]]
        return chosen[:, down[:, None], across], self._sample_valid[down[:, None], across] & is_inside


def _rough_look(pool: RasterPool, bands: Sequence[int]) -> tuple[Floats, Bools, list[Floats]]:
    """Return means of small windows in an even grid over a raster (B, n, m), their validity, and values of each band."""
    info = pool.info
    rows, cols = min(_SAMPLES, -(-info.height // _SAMPLE_PX)), min(_SAMPLES, -(-info.width // _SAMPLE_PX))
    tops, lefts = (
        [max(0, int((k + 0.5) * size / count) - _SAMPLE_PX // 2) for k in range(count)]
        for size, count in ((info.height, rows), (info.width, cols))
    )
    found, valid = np.zeros((len(bands), rows, cols), np.float32), np.zeros((rows, cols), np.bool_)
    values: list[list[Floats]] = [[] for _ in bands]
    is_small = info.width <= _WHOLE_ROWS_PX
    with pool.handle(bands) as raster:
        for r, top in enumerate(tops):
            strip = raster.read(Window(top, 0, _SAMPLE_PX, info.width + _SAMPLE_PX)) if is_small else None
            for c, left in enumerate(lefts):
                if strip is None:
                    pixels, there = raster.read(Window(top, left, _SAMPLE_PX, _SAMPLE_PX))
                else:
                    pixels = strip[0][..., left : left + _SAMPLE_PX]
                    there = strip[1][:, left : left + _SAMPLE_PX]
                means, known = mean_blocks(pixels, there, _SAMPLE_PX)
                found[:, r, c], valid[r, c] = means[:, 0, 0], known[0, 0]
                for own, band in zip(values, pixels[:, there], strict=True):
                    own.append(band[np.isfinite(band)])
    return found, valid, [np.concatenate(own) for own in values]
