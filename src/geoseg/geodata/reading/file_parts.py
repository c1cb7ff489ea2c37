"""Reject image files with too many parts or too large texts, which take minutes or gigabytes to open."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NoReturn

from geoseg.errors import RasterError
from geoseg.geodata.reading.image_formats import ImageKind

_MAX_DIRECTORIES = 1000
# The time of GDAL grows with the square of the size: about a second for this limit.
_MAX_METADATA_BYTES = 256 * 1024
_MAX_PARTS = 1000
_PARTS_PER_BYTE = 1 / 1024
# libpng unpacks up to 8 MB of each and keeps it in memory.
_MAX_PACKED_TEXTS = 16
_PACKED_TEXTS = {b"zTXt", b"iTXt", b"iCCP"}

_SUB_DIRECTORIES, _METADATA = 330, 42112
_WIDE_TYPES = {16, 17, 18}  # BigTIFF's offsets of 8 bytes
_JPEG_SCAN = 0xDA
_JPEG_WITHOUT_LENGTH = {0x01, *range(0xD0, 0xDA)}


@dataclass(frozen=True)
class _Entry:
    """An entry of a TIFF directory: ``count`` values of ``type``; ``field_at`` is the offset of its value field."""

    tag: int
    type: int
    count: int
    field_at: int


@dataclass(frozen=True)
class _Layout:
    """Number formats of a TIFF: byte order, struct codes of a directory size and of an offset."""

    order: str
    size: str
    offset: str

    def read(self, file: BinaryIO, at: int, code: str) -> tuple[int, ...]:
        """Read numbers at an offset; raise struct.error at the end of the file."""
        file.seek(at)
        whole = struct.Struct(self.order + code)
        return whole.unpack(file.read(whole.size))


def check_parts(path: Path, kind: ImageKind) -> None:
    """Reject a file with too many directories, chunks or segments, or with too much text.

    Damage is not checked here; the decoder reports it.

    Raises:
        RasterError: The file exceeds a limit.
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
        if len(seen) > _MAX_DIRECTORIES:
            _reject(path, f"more than {_MAX_DIRECTORIES:,} directories")
        waiting += _following(file, layout, at, path=path)


def _following(file: BinaryIO, layout: _Layout, at: int, *, path: Path) -> list[int]:
    """Return the offsets of the next directory and the sub-directories of a directory."""
    found = list[int]()
    try:
        for entry in _entries(file, layout, at):
            if entry.tag == _METADATA and entry.count > _MAX_METADATA_BYTES:
                _reject(path, f"{entry.count:,} bytes of metadata")
            if entry.tag == _SUB_DIRECTORIES:
                if entry.count > _MAX_DIRECTORIES:
                    _reject(path, f"{entry.count:,} directories in one")
                found += _offsets(file, layout, entry)
        (count,) = layout.read(file, at, layout.size)
        link = at + struct.calcsize(layout.size) + count * _entry_bytes(layout)
        found += layout.read(file, link, layout.offset)
    except (struct.error, OSError, ValueError):
        pass  # the file ends here, or an offset is out of range
    return found


def _entry_bytes(layout: _Layout) -> int:
    return 4 + 2 * struct.calcsize(layout.offset)


def _entries(file: BinaryIO, layout: _Layout, at: int) -> Iterator[_Entry]:
    (count,) = layout.read(file, at, layout.size)
    start = at + struct.calcsize(layout.size)
    width = struct.calcsize(layout.offset)
    # BigTIFF allows any number of entries; libtiff reads at most this many.
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
    most = _max_parts(path)
    file.seek(8)
    parts = packed = 0
    while len(header := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", header)
        parts, packed = parts + 1, packed + (kind in _PACKED_TEXTS)
        if parts > most or packed > _MAX_PACKED_TEXTS:
            _reject(path, f"more than {parts - 1:,} chunks, {packed:,} of packed text")
        file.seek(length + 4, 1)


def _check_jpeg(file: BinaryIO, path: Path) -> None:
    most, parts = _max_parts(path), 0
    file.seek(2)
    while len(marker := file.read(2)) == 2 and marker[0] == 0xFF and marker[1] != _JPEG_SCAN:
        parts += 1
        if parts > most:
            _reject(path, f"more than {most:,} segments")
        if marker[1] == 0xFF:
            file.seek(-1, 1)
        elif marker[1] not in _JPEG_WITHOUT_LENGTH:
            file.seek(max(2, int.from_bytes(file.read(2), "big")) - 2, 1)


def _max_parts(path: Path) -> int:
    return _MAX_PARTS + int(path.stat().st_size * _PARTS_PER_BYTE)


def _reject(path: Path, got: str) -> NoReturn:
    raise RasterError(
        "the image file has too many parts", where=path, got=got, hint="Write it again with GDAL."
    )
