"""Cells on disk, within a limit, and the latest of them in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from secrets import token_hex
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from geoseg.learning.live.cells import Cell

_FULL, _COARSE = ".full.npz", ".coarse.npz"
OVERVIEW_VALUES = 8
"""Values of the overview along a side of a cell."""
Place = tuple[int, int]
"""Row and column of a cell."""


class CellStore:
    """The cells of one raster in a folder.

    The means of every cell stay; features at full resolution are dropped, those used longest ago first, when all of them
    exceed the limit.

    Args:
        folder: The folder, which belongs to one raster and one kind of features.
        limit_bytes: Largest size of the features at full resolution on disk.
        memory_bytes: Largest size of the cells in memory.
        shape: Rows and columns of cells of the raster.
        features: F.
    """

    def __init__(
        self, folder: Path, *, limit_bytes: int, memory_bytes: int, shape: tuple[int, int], features: int
    ) -> None:
        self._folder, self._limit, self._memory_limit = folder, limit_bytes, memory_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._memory: OrderedDict[Place, Cell] = OrderedDict()
        self._memory_bytes = 0
        sizes = {_place(path): path.stat().st_size for path in self._files(_FULL)}
        self._full: OrderedDict[Place, int] = OrderedDict(sorted(sizes.items()))
        self._known = {_place(path) for path in self._files(_COARSE)}
        rows, cols = (OVERVIEW_VALUES * count for count in shape)
        self.overview = _memory_map(folder / "overview.npy", (rows, cols, features), np.float16)
        """Means of all features in squares of 64 px (n, m, F)."""
        self.overview_state = _memory_map(folder / "overview_state.npy", (rows, cols), np.uint8)
        """For each of these squares: 0 not computed, 1 invalid, 2 valid."""

    def has(self, place: Place) -> bool:
        """Return whether the means of a cell are stored."""
        return place in self._known

    def has_full(self, place: Place) -> bool:
        """Return whether the features of a cell at full resolution are stored."""
        return place in self._full or place in self._memory

    @property
    def count(self) -> int:
        """Number of cells whose means are stored."""
        return len(self._known)

    @property
    def is_full(self) -> bool:
        """Whether another cell at full resolution would drop one."""
        with self._lock:
            size = sum(self._full.values())
            mean = size / max(1, len(self._full))
        return size + mean > self._limit

    def put(self, place: Place, cell: Cell, *, keep_full: bool) -> None:
        """Store a cell.

        Args:
            place: Row and column of the cell.
            cell: The cell.
            keep_full: Whether to store the features at full resolution too.

        Raises:
            OSError: The disk is full.
        """
        if keep_full:
            flat = np.concatenate([one.ravel() for one in cell.maps])
            valid = np.packbits(cell.valid)
            shapes = np.array([one.shape for one in cell.maps], np.int32)
            path = self._path(place, _FULL)
            _write(path, {"values": flat, "valid": valid, "shapes": shapes})
            self._remember(place, cell)
            with self._lock:
                self._full[place] = path.stat().st_size
            self._shrink()
        is_valid: NDArray[np.bool_] = np.asarray(cell.valid.reshape(32, 16, 32, 16).any(axis=(1, 3)))
        self._put_overview(place, cell.coarse, is_valid)
        _write(self._path(place, _COARSE), {"values": cell.coarse, "valid": is_valid})
        with self._lock:
            self._known.add(place)

    def get(self, place: Place) -> Cell | None:
        """Return a cell at full resolution; None if it is not stored."""
        with self._lock:
            found = self._memory.get(place)
            if found is not None:
                self._memory.move_to_end(place)
                return found
            if place not in self._full:
                return None
            self._full.move_to_end(place)
        read = _read(self._path(place, _FULL))
        coarse = _read(self._path(place, _COARSE))
        if read is None or coarse is None:
            with self._lock:
                self._full.pop(place, None)
            return None
        ends = np.cumsum(read["shapes"].astype(np.int64).prod(axis=1))[:-1]
        maps = tuple(
            part.reshape(shape)
            for part, shape in zip(np.split(read["values"], ends), read["shapes"], strict=True)
        )
        valid = np.unpackbits(read["valid"]).astype(np.bool_).reshape(512, 512)
        cell = Cell(maps, valid, coarse["values"])
        self._remember(place, cell)
        return cell

    def get_coarse(self, place: Place) -> tuple[NDArray[np.float16], NDArray[np.bool_]] | None:
        """Return the means of a cell (F, 34, 34) and which squares have valid pixels (32, 32); None if not stored."""
        if place not in self._known:
            return None
        read = _read(self._path(place, _COARSE))
        if read is None:
            with self._lock:
                self._known.discard(place)
            return None
        return read["values"], read["valid"]

    def _put_overview(self, place: Place, coarse: NDArray[np.float16], valid: NDArray[np.bool_]) -> None:
        side = OVERVIEW_VALUES
        means = (
            coarse[:, 1:-1, 1:-1].reshape(len(coarse), side, 4, side, 4).mean(axis=(2, 4), dtype=np.float32)
        )
        box = np.s_[place[0] * side : (place[0] + 1) * side, place[1] * side : (place[1] + 1) * side]
        self.overview[box] = np.moveaxis(means, 0, -1)
        self.overview_state[box] = 1 + valid.reshape(side, 4, side, 4).any(axis=(1, 3))

    def _remember(self, place: Place, cell: Cell) -> None:
        size = _bytes(cell)
        with self._lock:
            old = self._memory.pop(place, None)
            self._memory_bytes += size - (0 if old is None else _bytes(old))
            self._memory[place] = cell
            while self._memory_bytes > self._memory_limit and len(self._memory) > 1:
                _, dropped = self._memory.popitem(last=False)
                self._memory_bytes -= _bytes(dropped)

    def _shrink(self) -> None:
        with self._lock:
            dropped = []
            size = sum(self._full.values())
            while size > self._limit and len(self._full) > 1:
                place, own = self._full.popitem(last=False)
                size -= own
                dropped.append(place)
        for place in dropped:
            self._path(place, _FULL).unlink(missing_ok=True)

    def _path(self, place: Place, kind: str) -> Path:
        return self._folder / f"{place[0]}_{place[1]}{kind}"

    def _files(self, kind: str) -> Iterator[Path]:
        return self._folder.glob(f"[0-9]*_[0-9]*{kind}")


def _memory_map(path: Path, shape: tuple[int, ...], dtype: type[np.generic]) -> NDArray[Any]:
    """Open an array on disk, and create it with zeros if it is missing or has another shape."""
    with suppress(OSError, ValueError):
        found = np.load(path, mmap_mode="r+")
        if found.shape == shape and found.dtype == dtype:
            return cast(NDArray[Any], found)
    return cast(NDArray[Any], np.lib.format.open_memmap(path, "w+", dtype, shape))


def _place(path: Path) -> Place:
    row, _, col = path.name.partition(".")[0].partition("_")
    return int(row), int(col)


def _bytes(cell: Cell) -> int:
    return sum(one.nbytes for one in cell.maps) + cell.valid.nbytes + cell.coarse.nbytes


def _write(path: Path, arrays: dict[str, NDArray[np.generic]]) -> None:
    partial = path.with_name(f".{path.name}.{token_hex(4)}")
    try:
        with partial.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]
        Path(partial).replace(path)
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _read(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return the arrays of a file; None if it is missing or damaged."""
    try:
        with np.load(path) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, KeyError, EOFError):
        return None
