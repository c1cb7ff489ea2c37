"""Store the finished strips of a map, one file each, so that an interruption loses at most one strip."""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.mapping.prediction import Strip
from geoseg.domain.windows import Window
from geoseg.errors import OutputError
from geoseg.geodata.outputs.atomic_files import check_own_folder, whole_file, write_json

_CONTENTS = ("run.json", "files.json", "made.json", "*.npz")
_FAULTS = (OSError, ValueError, TypeError, KeyError)


class StripStore:
    """Stores finished strips of a map in a folder next to it; ``map.tif.parts/`` for ``map.tif``.

    Every file in it appears whole or not at all, so several processes may fill one store; strips of another map, which
    a worker that is late may still write, are not seen. When the map is written, the strips go, and what is left says
    that it is made, until the whole command is through.

    Args:
        path: The map.
        identity: What must be alike for strips to be of one map; JSON values.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any] | None = None) -> None:
        self.path = path.with_name(f"{path.name}.parts")
        self._wanted: dict[str, Any] = json.loads(json.dumps(identity or {}))
        self._key = sha256(json.dumps(self._wanted, sort_keys=True).encode()).hexdigest()[:12]
        self._identity = self.path / "run.json"
        self._claimed = self.path / "files.json"
        self._made = self.path / "made.json"

    def identity(self) -> dict[str, Any] | None:
        """Return the identity of the unfinished map, or None without strips.

        Raises:
            OutputError: It cannot be read.
        """
        try:
            return _read_record(self._identity)
        except _FAULTS as error:
            raise OutputError(
                "the record of this unfinished map cannot be read",
                where=self._identity,
                hint="Use --overwrite to restart the map.",
            ) from error

    def claim(self, files: Iterable[Path]) -> None:
        """Record the output files of the command, which a repeated command may replace."""
        write_json(self._claimed, {"files": [str(path.resolve()) for path in files]})

    def has_claimed(self, path: Path) -> bool:
        """Return whether a file is a recorded output of an unfinished command."""
        with suppress(*_FAULTS):
            return str(path.resolve()) in (_read_record(self._claimed) or {}).get("files", [])
        return False

    def finish(self, outcome: Mapping[str, Any], areas: Sequence[Mapping[str, Any]]) -> None:
        """Mark the map as finished, and remove its strips.

        Args:
            outcome: What must be alike for two commands to make the same files; JSON values.
            areas: What each class covers; JSON values.
        """
        write_json(self._made, {"outcome": outcome, "areas": areas})
        for number in self.finished():
            self._file(number).unlink(missing_ok=True)

    def made(self, outcome: Mapping[str, Any]) -> list[dict[str, Any]] | None:
        """Return the class areas if this map is finished, else None, also if the record cannot be read."""
        with suppress(*_FAULTS):
            record = _read_record(self._made)
            if record is not None and record["outcome"] == json.loads(json.dumps(outcome)):
                return list(record["areas"])
        return None

    def check_folder(self) -> None:
        """Check that the folder contains no files of the user.

        Raises:
            OutputError: It does.
        """
        check_own_folder(self.path, _CONTENTS, what="the unfinished map")

    def begin(self, *, overwrite: bool) -> None:
        """Resume with the stored strips if they belong to the same map, or restart.

        Args:
            overwrite: Whether strips of another map may be thrown away.

        Raises:
            OutputError: There are strips of another map, or other files.
        """
        self.check_folder()
        now = self._wanted
        before = now if not self._identity.exists() else self._readable(overwrite=overwrite)
        differing = sorted(k for k in now.keys() | before.keys() if now.get(k) != before.get(k))
        if differing and not overwrite:
            raise OutputError(
                f"the output has an unfinished map with other settings; they differ in {', '.join(differing)}",
                where=self.path,
                expected=f"{differing[0]} = {before.get(differing[0])}",
                got=f"{differing[0]} = {now.get(differing[0])}",
                hint="Repeat the command that started it, or use --overwrite to restart the map.",
            )
        if differing:
            self.clear()
        try:
            write_json(self._identity, now)
        except OutputError:
            with suppress(OSError):
                self.path.rmdir()  # fails if it is not empty
            raise

    def _readable(self, *, overwrite: bool) -> dict[str, Any]:
        try:
            return self.identity() or {}
        except OutputError:
            if overwrite:
                return {}
            raise

    def finished(self) -> set[int]:
        """Return the numbers of the stored strips."""
        return {int(path.stem.rpartition("-")[2]) for path in self.path.glob(f"{self._key}-*.npz")}

    def write(self, strip: Strip) -> None:
        """Store a strip.

        Raises:
            OutputError: It cannot be written.
        """
        arrays: dict[str, Any] = {"class_ids": strip.class_ids, "confidence": strip.confidence}
        if strip.probabilities is not None:
            arrays["probabilities"] = strip.probabilities
        arrays["row"] = np.array(strip.window.row)
        with whole_file(self._file(strip.number), overwrite=True) as partial, partial.open("wb") as file:
            _pack(file, arrays)

    def read(self, number: int) -> Strip:
        """Return a stored strip.

        Raises:
            OutputError: It cannot be read; a damaged one is removed, so that the next call makes it again.
        """
        with self._arrays(number) as arrays:
            class_ids = arrays["class_ids"]
            window = Window(int(arrays["row"]), 0, *class_ids.shape)
            probabilities = arrays.get("probabilities")
            return Strip(number, window, class_ids, arrays["confidence"], probabilities)

    @contextmanager
    def _arrays(self, number: int) -> Iterator[Mapping[str, NDArray[Any]]]:
        path = self._file(number)
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
                yield arrays
        except OSError as error:
            raise OutputError("a finished strip cannot be read", where=path, got=error) from error
        except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            path.unlink(missing_ok=True)
            raise OutputError(
                "a finished strip was damaged and was removed",
                where=path,
                hint="Repeat the command to predict it again.",
            ) from error

    def strips(self, count: int) -> Iterator[Strip]:
        """Yield the first ``count`` strips."""
        for number in range(count):
            yield self.read(number)

    def class_ids(self, count: int) -> Iterator[NDArray[np.uint8]]:
        """Yield only the class ids (h, W) of the first ``count`` strips."""
        for number in range(count):
            with self._arrays(number) as arrays:
                class_ids = arrays["class_ids"]
            yield class_ids

    def clear(self) -> None:
        """Remove the folder with all strips."""
        shutil.rmtree(self.path, ignore_errors=True)

    def clear_if_empty(self) -> None:
        """Remove the folder if it has no finished strip and the map is not finished."""
        if not self.finished() and not self._made.exists():
            self.clear()

    def _file(self, number: int) -> Path:
        return self.path / f"{self._key}-{number:06d}.npz"


def _read_record(path: Path) -> dict[str, Any] | None:
    """Return the content of a file of the store, or None if it does not exist."""
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None


def _pack(file: BinaryIO, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as ``numpy.savez_compressed``, at the fastest level, which compresses class ids well."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, values in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, np.asarray(values, order="C"), allow_pickle=False)
