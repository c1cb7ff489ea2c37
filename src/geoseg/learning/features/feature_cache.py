"""On-disk cache of features at points, so that only new points are read in the next training."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from geoseg.domain.points import Points
from geoseg.learning.cache_folder import GIB, SUFFIX, cache_size

LIMIT_BYTES = 2 * GIB


@dataclass(frozen=True)
class CachedFeatures:
    """Cached features of P points; the other rows are undefined where ``is_known`` is false.

    Attributes:
        values: Features (P, F), float32; F is 0 if no point is cached.
        valid: Whether the raster is valid at each point (P,).
        is_known: Whether each point is cached (P,).
    """

    values: NDArray[np.float32]
    valid: NDArray[np.bool_]
    is_known: NDArray[np.bool_]


@dataclass(frozen=True)
class FeatureCache:
    """A folder of features, with one file per raster and network.

    Attributes:
        folder: Folder of the files; created at the first write.
        rasters: Key of each raster and its present content, by image name.
        network: Key of the network with its bands, its normalisation and the way it reads.
        limit_bytes: Maximum size; the least recently used files are removed first.
    """

    folder: Path
    rasters: Mapping[str, str]
    network: str
    limit_bytes: int = LIMIT_BYTES

    def find(self, points: Points) -> CachedFeatures:
        """Return the cached features of the points, in their order."""
        found: CachedFeatures | None = None
        for image in np.unique(points.image):
            kept = self._load(str(image))
            if kept is None:
                continue
            here = np.flatnonzero(points.image == image)
            place = {
                at: n for n, at in enumerate(zip(kept["row"].tolist(), kept["col"].tolist(), strict=True))
            }
            own = [
                place.get(at, -1)
                for at in zip(points.row[here].tolist(), points.col[here].tolist(), strict=True)
            ]
            position = np.array(own)
            at, rows = here[position >= 0], position[position >= 0]
            found = found or _empty(len(points), kept["values"].shape[1])
            found.values[at], found.valid[at], found.is_known[at] = (
                kept["values"][rows],
                kept["valid"][rows],
                True,
            )
        return found or _empty(len(points), 0)

    def store(self, points: Points, values: NDArray[np.float32], valid: NDArray[np.bool_]) -> None:
        """Add points to the cache.

        Args:
            points: P points, none of them cached yet.
            values: Their features (P, F), float32.
            valid: Whether the raster is valid at each (P,).

        Raises:
            OSError: The folder cannot be written to.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for image in np.unique(points.image):
            here = np.flatnonzero(points.image == image)
            new = {
                "row": points.row[here],
                "col": points.col[here],
                "values": values[here],
                "valid": valid[here],
            }
            earlier = self._load(str(image))
            joined = new if earlier is None else {n: np.concatenate([earlier[n], new[n]]) for n in new}
            self._write(self._path(str(image)), {n: np.ascontiguousarray(t) for n, t in joined.items()})
        self._prune()

    def _path(self, image: str) -> Path:
        key = hashlib.sha256(f"{self.rasters[image]}\n{self.network}".encode()).hexdigest()
        return self.folder / f"{key[:32]}{SUFFIX}"

    def _load(self, image: str) -> dict[str, NDArray[Any]] | None:
        path = self._path(image)
        try:
            found = load_file(path)
            path.touch()
        except (OSError, SafetensorError):  # Missing or truncated: it will be written again.
            return None
        return found if found.keys() == {"row", "col", "values", "valid"} else None

    def _write(self, path: Path, tensors: dict[str, NDArray[Any]]) -> None:
        handle, partial = tempfile.mkstemp(dir=self.folder, suffix=".partial")
        os.close(handle)
        try:
            save_file(tensors, partial)
            Path(partial).replace(path)
        except BaseException:
            Path(partial).unlink(missing_ok=True)
            raise

    def size_bytes(self) -> int:
        """Return the size of the cache over all rasters and networks."""
        return cache_size(self.folder)[1]

    def _prune(self) -> None:
        sizes = {path: path.stat() for path in self.folder.glob(f"*{SUFFIX}")}
        total = sum(state.st_size for state in sizes.values())
        for path in sorted(sizes, key=lambda path: sizes[path].st_mtime_ns):
            if total <= self.limit_bytes:
                return
            path.unlink(missing_ok=True)
            total -= sizes[path].st_size


def _empty(count: int, features: int) -> CachedFeatures:
    return CachedFeatures(
        np.zeros((count, features), np.float32), np.zeros(count, np.bool_), np.zeros(count, np.bool_)
    )
