"""Write files atomically: a file appears complete or not at all."""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from fnmatch import fnmatch
from pathlib import Path
from secrets import token_hex

from rasterio._err import CPLE_BaseError  # rasterio publishes no other name for GDAL's own errors
from rasterio.errors import RasterioError

from geoseg.errors import OutputError
from geoseg.geodata.outputs.file_kinds import FileKind

SIDECARS = (".aux.xml", ".ovr", ".msk")
"""Sidecar of GDAL, which is replaced and removed together with its raster."""

_PARTIAL = "partial-"
_FULL_BELOW_BYTES = 1 << 16
_FULL_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def check_output(path: Path, kind: FileKind | None = None, *, overwrite: bool) -> None:
    """Check before any slow step that a file can be written; create missing folders.

    Args:
        path: The file.
        kind: What will be written. An existing file is replaced only if this program wrote it as one of these;
            None: any file may be replaced.
        overwrite: Whether an existing file may be replaced.

    Raises:
        OutputError: The file exists and may not be replaced, its name does not end as the kind's do, it is a folder,
            or its folder cannot be made or written to.
    """
    if path.is_dir():
        raise OutputError("this is a folder", where=path, expected="the name of a file to write")
    if kind is not None:
        _check_kind(path, kind)
    if path.exists() and not overwrite:
        raise OutputError("the file exists", where=path, hint="Use --overwrite to replace it.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise OutputError(
            "this folder is not writable",
            where=path.parent,
            expected="a folder with write permission",
            got=error.strerror or str(error),
            hint="Choose another folder, or change its permissions.",
        ) from error


def check_apart(outputs: Iterable[Path], inputs: Iterable[Path | None]) -> None:
    """Check that no output is also an input, even through another path or link.

    Raises:
        OutputError: An output is an input too.
    """
    read = set[object]().union(*(_names(path) for path in inputs if path is not None))
    for path in outputs:
        if read & _names(path):
            raise OutputError(
                "this file is an input of the same command, so it cannot be an output",
                where=path,
                hint="Choose another output name.",
            )


def check_own_folder(folder: Path, names: Iterable[str], *, what: str) -> None:
    """Check that an existing folder contains only files of this program.

    Args:
        folder: The folder.
        names: Patterns of the names that may be in it.
        what: What the folder is for.

    Raises:
        OutputError: Something else is in it, or it is a file.
    """
    patterns = (".*", *names)
    try:
        found = sorted(folder.iterdir()) if folder.exists() else []
    except OSError as error:
        raise OutputError(
            f"this name is needed for {what}", where=folder, expected="a folder", got=error.strerror
        ) from error
    foreign = [path.name for path in found if not any(fnmatch(path.name, one) for one in patterns)]
    if foreign:
        raise OutputError(
            f"this folder is needed for {what}, but it holds other files",
            where=folder,
            got=", ".join(foreign[:3]) + (" ..." if len(foreign) > 3 else ""),
            hint="Choose another output name, or move those files.",
        )


@contextmanager
def whole_file(path: Path, kind: FileKind | None = None, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary path to write; it replaces ``path`` when the block ends without an error.

    The temporary file lies beside ``path`` and has its suffix. Whatever begins with its name is
    removed on any failure, Ctrl-C included; what GDAL keeps beside a raster (``SIDECARS``) is renamed
    along, and an older file's is removed.

    Args:
        path: The file to write.
        kind: What is written, as for ``check_output``.
        overwrite: Whether an existing file is replaced.

    Raises:
        OutputError: ``check_output`` refuses the path, or writing fails (a full disk, for one).
    """
    path = Path(path)
    check_output(path, kind, overwrite=overwrite)
    partial = path.with_name(f".{path.name}.{_PARTIAL}{os.getpid()}-{token_hex(4)}{path.suffix}")
    try:
        yield partial
        _put_in_place(partial, path)
    except _write_faults() as error:
        raise _not_written(path, error) from error
    finally:
        _remove_traces(partial)


def remove_leftovers(path: Path) -> None:
    """Remove temporary files of a process that was killed while writing ``path``."""
    for trace in path.parent.glob(f".{glob.escape(path.name)}.{_PARTIAL}*"):
        trace.unlink(missing_ok=True)


def write_text(path: Path, text: str, kind: FileKind | None = None, *, overwrite: bool = True) -> None:
    """Write UTF-8 text.

    Raises:
        OutputError: The file cannot be written, or exists and ``overwrite`` is not set.
    """
    with whole_file(path, kind, overwrite=overwrite) as partial:
        partial.write_text(text, encoding="utf-8")


def write_json(path: Path, obj: object, kind: FileKind | None = None, *, overwrite: bool = True) -> None:
    """Write JSON with an indent of two spaces. Missing numbers must be None, not NaN.

    Raises:
        OutputError: The file cannot be written, or exists and ``overwrite`` is not set.
        ValueError: ``obj`` holds NaN or infinity, which JSON does not have.
    """
    text = json.dumps(obj, indent=2, ensure_ascii=False, allow_nan=False)
    write_text(path, text + "\n", kind, overwrite=overwrite)


def _check_kind(path: Path, kind: FileKind) -> None:
    if path.suffix.lower() not in kind.endings:
        raise OutputError(
            f"this name does not fit a {kind.name}",
            where=path,
            expected=f"a name that ends in {_one_of(kind.endings)}",
            got=path.suffix or "no ending",
        )
    if path.exists() and not kind.recognises(path):
        raise OutputError(
            f"this file exists and is not a {kind.name} from GeoSeg-PointAI, so it is not replaced",
            where=path,
            hint="Choose another output name, or move that file.",
        )


def _one_of(endings: Sequence[str]) -> str:
    """Return endings as a phrase: ".gpkg, .json or .csv"."""
    *first, last = endings
    return f"{', '.join(first)} or {last}" if first else last


def _names(path: Path) -> set[object]:
    """Return keys that identify a file: its resolved path, and its device and inode numbers."""
    try:
        state = path.stat()
        return {path.resolve(), (state.st_dev, state.st_ino)}
    except OSError:
        return {path.resolve()}


def _put_in_place(partial: Path, path: Path) -> None:
    _sync(partial)
    partial.replace(path)
    for ending in SIDECARS:
        sidecar, new = path.with_name(path.name + ending), partial.with_name(partial.name + ending)
        if new.exists():
            new.replace(sidecar)
        else:
            sidecar.unlink(missing_ok=True)


def _sync(partial: Path) -> None:
    """Flush the file to the disk, because a full disk may be reported only then."""
    with partial.open("rb+") as file:
        os.fsync(file.fileno())


def _remove_traces(partial: Path) -> None:
    for trace in partial.parent.glob(glob.escape(partial.stem) + "*"):
        trace.unlink(missing_ok=True)


def _not_written(path: Path, error: Exception) -> OutputError:
    number = error.errno if isinstance(error, OSError) else None
    free = shutil.disk_usage(path.parent).free if path.parent.is_dir() else None
    is_full = number in _FULL_ERRNO or (free is not None and free < _FULL_BELOW_BYTES)
    advice = "free some space or choose another place."
    hint = f"The disk is full: {advice}" if is_full else f"Is the disk full, or closed? If so, {advice}"
    return OutputError(
        "the file could not be written and was removed",
        where=path,
        got=str(error.__cause__ or error),
        hint=hint,
    )


def _write_faults() -> tuple[type[Exception], ...]:
    """Return the exceptions of a failed write. pyogrio loads geopandas, which most commands never need."""
    from pyogrio.errors import DataLayerError, DataSourceError, FeatureError

    return OSError, RasterioError, CPLE_BaseError, DataSourceError, DataLayerError, FeatureError
