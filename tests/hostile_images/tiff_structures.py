"""TIFFs that are cut, corrupted field by field, or whose directories lead astray."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY, noise
from tests.hostile_images.tiff_writing import (
    GREATEST_LONG,
    LONG,
    LONG8,
    METADATA,
    SUBIFDS,
    Tags,
    georeferenced,
    strips,
    tiff,
    tiles,
)


def odd_structures() -> Iterator[Case]:
    layouts = {"strips": strips(), "tiles": tiles(), "georeferenced": georeferenced()}
    for name, tags in layouts.items():
        yield from _corrupted_ifd(f"tif {name}", tags, order="<", big=False)
    yield from _corrupted_ifd("tif big", strips(), order=">", big=True)
    yield from _cut_tiffs()
    yield from _odd_directories()


def _corrupted_ifd(name: str, tags: Tags, *, order: str, big: bool) -> Iterator[Case]:
    """Yield an image with every field of every entry set to 0, 1, its greatest value and its sign bit."""
    whole = bytearray(tiff(tags, GREY, order=order, big=big))
    entry, wide, start = (20, "Q", 24) if big else (12, "I", 10)
    fields = {"type": ("H", 2), "count": (wide, 4), "value": (wide, 4 + struct.calcsize(wide))}
    for number, tag in enumerate(sorted(tags)):
        for field, (code, shift) in fields.items():
            bits = 8 * struct.calcsize(code)
            for what, value in {"0": 0, "1": 1, "max": 2**bits - 1, "sign": 2 ** (bits - 1)}.items():
                changed = bytearray(whole)
                struct.pack_into(order + code, changed, start + entry * number + shift, value)
                if changed != whole:
                    yield f"{name}: {field} of tag {tag} is {what}", bytes(changed), True


def _cut_tiffs() -> Iterator[Case]:
    """Yield images that end after every field of the header and of the IFD."""
    classic, big = tiff(strips(), GREY), tiff(strips(), GREY, big=True)
    ends = sorted(
        {1, 2, 4, 6, 8, 10} | {10 + 12 * n + k for n in range(9) for k in (2, 4, 8, 12)} | {122, 300}
    )
    for end in ends:
        yield f"tif cut after {end} bytes", classic[:end], False
    for end in (4, 6, 8, 12, 16, 20, 24, 26, 28, 36, 44, 100, 204, 210, 300):
        yield f"tif big cut after {end} bytes", big[:end], False


def _odd_directories() -> Iterator[Case]:
    last = len(tiff(strips())) - 4
    yield "tif whose IFD follows itself", tiff(strips(), GREY, following=8), True
    yield "tif whose next IFD is the header", tiff(strips(), GREY, following=1), True
    yield "tif whose next IFD is past the end", tiff(strips(), GREY, following=GREATEST_LONG), True
    yield "tif of two IFDs that follow each other", _chain(2, closes=True), True
    yield "tif of 900 IFDs", _chain(900), True
    yield "tif of 2,000 IFDs", _chain(2000), False
    yield "tif of 20,000 IFDs", _chain(20_000), False
    yield "tif whose IFD is at 0", b"II*\0" + bytes(300), False
    yield "tif whose IFD is past the end", b"II*\0" + struct.pack("<I", GREATEST_LONG) + bytes(300), False
    yield "tif whose IFD has 65,535 entries", b"II*\0\x08\0\0\0\xff\xff" + bytes(3000), False
    yield "tif whose IFD has no entries", b"II*\0\x08\0\0\0\0\0" + bytes(300), False
    yield "tif big of 2^63 entries", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63) + bytes(300), False
    yield "tif big with offsets of 7 bytes", b"II+\0\x07\0\0\0" + struct.pack("<Q", 16) + bytes(300), False
    yield "tif of version 44", b"II,\0\x08\0\0\0" + bytes(300), False
    yield "tif with tags out of order", _reversed(tiff(strips(), GREY)), True
    yield "tif with a tag twice", _twice(tiff(strips(), GREY)), True
    yield "tif whose SubIFD is itself", tiff(strips(subifds=(LONG, 8)), GREY), True
    yield "tif with 10,000 SubIFDs", tiff(strips(subifds=(LONG, [8] * 10_000)), GREY), False
    yield "tif big of 2^60 SubIFDs", _many_values(SUBIFDS, 2**60), False
    yield "tif big of 2^60 bytes of metadata", _many_values(METADATA, 2**60), False
    yield "tif of random bytes", b"II*\0\x08\0\0\0" + noise(4096), False
    yield "tif of ones", b"MM\0*" + b"\xff" * 4096, False
    yield "tif cut in its last link", tiff(strips())[: last + 2], False


def _chain(count: int, *, closes: bool = False) -> bytes:
    """Return a TIFF of many equal pictures, reduced ones but for the first."""
    size = len(tiff(strips(subfile=(LONG, 1)))) - 8
    first, parts = 8 + size * count, []
    for number in range(count):
        following = 8 + size * (number + 1) if number + 1 < count else 8 * closes
        tags = strips(subfile=(LONG, int(number > 0)), offsets=(LONG, first))
        parts.append(tiff(tags, following=following)[8:] if number < 2 or following == 8 * closes else None)
    # All but the link is alike.
    middle = parts[min(1, count - 1)] or b""
    for number, part in enumerate(parts):
        if part is None:
            parts[number] = middle[:-4] + struct.pack("<I", 8 + size * (number + 1))
    return b"II*\0\x08\0\0\0" + b"".join(part for part in parts if part) + GREY


def _reversed(whole: bytes) -> bytes:
    entries = [whole[10 + 12 * n : 22 + 12 * n] for n in range(9)]
    return whole[:10] + b"".join(reversed(entries)) + whole[118:]


def _twice(whole: bytes) -> bytes:
    return whole[:22] + whole[10:22] + whole[34:]


def _many_values(tag: int, count: int) -> bytes:
    """Return a BigTIFF that says it has that many values of a tag."""
    whole = tiff(strips() | {tag: (LONG8, 16)}, GREY, big=True)
    at = whole.index(struct.pack("<HH", tag, LONG8))
    return whole[: at + 4] + struct.pack("<Q", count) + whole[at + 12 :]
