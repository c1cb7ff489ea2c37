"""Unpack untrusted archives safely."""

from __future__ import annotations

import shutil
import stat
import zlib
from pathlib import Path, PurePosixPath
from zipfile import BadZipFile, ZipFile, ZipInfo

from geoseg.domain.ports import Progress
from geoseg.errors import DatasetError, OutputError

_MAX_BYTES = 64 * 1024**3


def unpack(archive: Path, folder: Path, progress: Progress) -> None:
    """Unpack a zip atomically into a folder.

    Args:
        archive: The zip.
        folder: Where to; it must not exist, or be empty.
        progress: Told of every file.

    Raises:
        DatasetError: It is no zip, is damaged, or has members that point outside the folder, are links,
            or are larger than any disk should take.
        OutputError: The folder is not empty, or the disk is too small.
    """
    folder = folder.resolve()
    check_empty(folder)
    aside = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        with ZipFile(archive) as opened:
            members = opened.infolist()
            _check(members, archive, folder)
            progress.start("Unpacking", len(members))
            for member in members:
                opened.extract(member, aside)
                progress.advance()
        if folder.exists():
            folder.rmdir()
        aside.replace(folder)
    except (BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise DatasetError("the archive is damaged", where=archive, expected="a zip", got=error) from error
    except OSError as error:
        raise OutputError(
            "the archive cannot be unpacked", where=folder, got=error.strerror or error
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def check_empty(folder: Path) -> None:
    """Check that a folder is empty or does not exist.

    Raises:
        OutputError: Something is in it, or it is a file.
    """
    if folder.is_file() or (folder.exists() and any(folder.iterdir())):
        raise OutputError("the folder is not empty", where=folder, hint="Choose a new folder.")


def _check(members: list[ZipInfo], archive: Path, folder: Path) -> None:
    for member in members:
        path = PurePosixPath(member.filename.replace("\\", "/"))
        is_link = stat.S_ISLNK(member.external_attr >> 16)
        if path.is_absolute() or ".." in path.parts or ":" in member.filename or is_link:
            raise DatasetError(
                "the archive has paths outside its folder; nothing was unpacked",
                where=archive,
                got=member.filename,
            )
    size = sum(member.file_size for member in members)
    folder.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder.parent).free
    if size > _MAX_BYTES:
        raise DatasetError("the archive is implausibly large", where=archive, got=f"{size:,} bytes unpacked")
    if size > free:
        raise OutputError(
            "the disk is too small", where=folder.parent, expected=f"{size:,} bytes", got=f"{free:,} bytes"
        )
