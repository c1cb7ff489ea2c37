"""Refuse images whose files have so many parts, or such texts, that opening them takes minutes or gigabytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from geoseg.errors import RasterError
from geoseg.geodata.reading.image_formats import ImageKind

_MOST_DIRECTORIES = 1000
# GDAL's time grows with the square of the items: a second for this much.
_MOST_METADATA_BYTES = 256 * 1024
_MOST_PARTS = 1000
_PARTS_A_BYTE = 1 / 1024
# libpng unpacks up to 8 MB of each and keeps them.
_MOST_PACKED_TEXTS = 16
_PACKED_TEXTS = {b"zTXt", b"iTXt", b"iCCP"}

_SUB_DIRECTORIES, _METADATA = 330, 42112
_WIDE_TYPES = {16, 17, 18}  # BigTIFF's offsets of 8 bytes
_JPEG_SCAN = 0xDA
_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


@dataclass(frozen=True)
class _Entry:
    """An entry of a TIFF's directory: what is behind ``count`` values of ``type``, and where its value field is."""

    tag: int
    type: int
    count: int
    field_at: int


@dataclass(frozen=True)
class _Layout:
    """How numbers are written in a TIFF: byte order, and formats of a directory's size, an offset and an entry."""

    order: str
    size: str
    offset: str

    def read(self, file: BinaryIO, at: int, code: str) -> tuple[int, ...]:
        """Read numbers at a place; struct.error where the file ends."""
        file.seek(at)
        whole = struct.Struct(self.order + code)
        return whole.unpack(file.read(whole.size))


def check_parts(path: Path, kind: ImageKind) -> None:
    """Refuse a file of too many directories, chunks or segments, or of too long or too many packed texts.

    What is damaged is left to be found by who decodes it.

    Raises:
        RasterError: It is such a file.
    """
    check = {"tif": _check_tiff, "png": _check_png, "jpg": _check_jpeg}[kind]
    with path.open("rb") as file:
        check(file, path)


def _check_tiff(file: BinaryIO, path: Path) -> None:
    mark, version = file.read(2), file.read(2)
    order = "<" if mark == b"II" else ">"
    is_big = b"+" in version
    layout = _Layout(order, "Q", "Q") if is_big else _Layout(order, "H", "I")
    try:
        waiting = list(layout.read(file, 8 if is_big else 4, layout.offset))
    except struct.error:
        return
    seen = set[int]()
    while waiting:
        at = waiting.pop()
        if at == 0 or at in seen:
            continue
        seen.add(at)
        if len(seen) > _MOST_DIRECTORIES:
            _refuse(path, f"more than {_MOST_DIRECTORIES:,} directories")
        waiting += _following(file, layout, at, path=path)


def _following(file: BinaryIO, layout: _Layout, at: int, *, path: Path) -> list[int]:
    """Return where the directories are that a directory leads to."""
    found = list[int]()
    try:
        for entry in _entries(file, layout, at):
            if entry.tag == _METADATA and entry.count > _MOST_METADATA_BYTES:
                _refuse(path, f"{entry.count:,} bytes of metadata")
            if entry.tag == _SUB_DIRECTORIES:
                if entry.count > _MOST_DIRECTORIES:
                    _refuse(path, f"{entry.count:,} directories in one")
                found += _offsets(file, layout, entry)
        (count,) = layout.read(file, at, layout.size)
        link = at + struct.calcsize(layout.size) + count * _entry_bytes(layout)
        found += layout.read(file, link, layout.offset)
    except (struct.error, OSError, ValueError):
        pass  # it ends here, or points past what a file can be
    return found


def _entry_bytes(layout: _Layout) -> int:
    return 4 + 2 * struct.calcsize(layout.offset)


def _entries(file: BinaryIO, layout: _Layout, at: int) -> Iterator[_Entry]:
    (count,) = layout.read(file, at, layout.size)
    start = at + struct.calcsize(layout.size)
    width = struct.calcsize(layout.offset)
    # A directory of BigTIFF may say any number; libtiff takes no more.
    for place in range(start, start + min(count, 65_535) * _entry_bytes(layout), _entry_bytes(layout)):
        tag, kind, values = layout.read(file, place, "HH" + layout.offset)
        yield _Entry(tag, kind, values, place + 4 + width)


def _offsets(file: BinaryIO, layout: _Layout, entry: _Entry) -> tuple[int, ...]:
    code = "Q" if entry.type in _WIDE_TYPES else "I"
    place = entry.field_at
    if entry.count * struct.calcsize(code) > struct.calcsize(layout.offset):
        (place,) = layout.read(file, place, layout.offset)
    return layout.read(file, place, f"{entry.count}{code}")


def _check_png(file: BinaryIO, path: Path) -> None:
    most = _most_parts(path)
    file.seek(8)
    parts = packed = 0
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        parts, packed = parts + 1, packed + (kind in _PACKED_TEXTS)
        if parts > most or packed > _MOST_PACKED_TEXTS:
            _refuse(path, f"more than {parts - 1:,} chunks, {packed:,} of packed text")
        file.seek(length + 4, 1)


def _check_jpeg(file: BinaryIO, path: Path) -> None:
    most, parts = _most_parts(path), 0
    file.seek(2)
    while len(marker := file.read(2)) == 2 and marker[0] == 0xFF and marker[1] != _JPEG_SCAN:
        parts += 1
        if parts > most:
            _refuse(path, f"more than {most:,} segments")
        if marker[1] == 0xFF:
            file.seek(-1, 1)
        elif marker[1] not in _JPEG_WITHOUT_LENGTH:
            file.seek(max(2, int.from_bytes(file.read(2), "big")) - 2, 1)


def _most_parts(path: Path) -> int:
    return _MOST_PARTS + int(path.stat().st_size * _PARTS_A_BYTE)


def _refuse(path: Path, got: str) -> NoReturn:
    raise RasterError("the image's file is made of too many parts", where=path, got=got)
