"""TIFFs written field by field, so that any of them may be wrong."""

from __future__ import annotations

import struct
from typing import Any

SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, ASCII, BYTE, LONG8 = 3, 4, 5, 7, 12, 2, 1, 16
GREATEST_LONG = 2**32 - 1
_SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 7: 1, 12: 8, 13: 4, 16: 8}
_CODES = {1: "B", 2: "B", 3: "H", 4: "I", 7: "B", 12: "d", 13: "I", 16: "Q"}
WIDTH, HEIGHT, BITS, COMPRESSION, PHOTOMETRIC, DESCRIPTION = 256, 257, 258, 259, 262, 270
OFFSETS, SAMPLES, ROWS_PER_STRIP, COUNTS, PLANAR, EXTRA, FORMAT = 273, 277, 278, 279, 284, 338, 339
TILE_WIDTH, TILE_HEIGHT, TILE_OFFSETS, TILE_COUNTS, SUBFILE, SUBIFDS, COLORMAP = (
    322,
    323,
    324,
    325,
    254,
    330,
    320,
)
SCALE, TIEPOINT, MATRIX, GEO_KEYS, GEO_DOUBLES, GEO_TEXTS = 33550, 33922, 34264, 34735, 34736, 34737
METADATA, NODATA, RPC = 42112, 42113, 50844

Tags = dict[int, tuple[int, Any]]


def tiff(
    tags: Tags, pixels: bytes = b"", *, order: str = "<", big: bool = False, following: int = 0
) -> bytes:
    """Return a TIFF of one IFD.

    Args:
        tags: Type and values by tag; the offset of the pixels is filled in where a value is "pixels".
        pixels: What lies behind the IFD's values.
        order: "<" or ">".
        big: Whether it is a BigTIFF.
        following: Offset of the next IFD.
    """
    start, entry, word = (16, 20, "Q") if big else (8, 12, "I")
    lead = struct.calcsize("Q" if big else "H")
    room = struct.calcsize(word)
    values_at = start + lead + entry * len(tags) + room
    texts = {tag: _values(kind, values, order) for tag, (kind, values) in tags.items() if values != "pixels"}
    pixels_at = values_at + sum(len(text) + len(text) % 2 for text in texts.values() if len(text) > room)
    entries, beyond = [], b""
    for tag in sorted(tags):
        kind = tags[tag][0]
        text = texts.get(tag, struct.pack(order + word, pixels_at))
        count = len(text) // _SIZES[kind] if tag in texts else 1
        kind = kind if tag in texts else (LONG8 if big else LONG)
        head = struct.pack(order + "HH" + word, tag, kind, count)
        if len(text) > room:
            head += struct.pack(order + word, values_at + len(beyond))
            beyond += text + b"\0" * (len(text) % 2)
        else:
            head += text.ljust(room, b"\0")
        entries.append(head)
    mark = b"II" if order == "<" else b"MM"
    header = mark + (struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8))
    count_of = struct.pack(order + ("Q" if big else "H"), len(tags))
    return header + count_of + b"".join(entries) + struct.pack(order + word, following) + beyond + pixels


def _values(kind: int, values: Any, order: str) -> bytes:
    if isinstance(values, bytes):
        return values
    numbers = values if isinstance(values, (list, tuple)) else [values]
    return struct.pack(f"{order}{len(numbers)}{_CODES[kind]}", *numbers)


def strips(height: int = 16, width: int = 16, **changes: Any) -> Tags:
    """Return the tags of a grey picture of one uncompressed strip, changed."""
    tags: Tags = {
        WIDTH: (LONG, width),
        HEIGHT: (LONG, height),
        BITS: (SHORT, 8),
        COMPRESSION: (SHORT, 1),
        PHOTOMETRIC: (SHORT, 1),
        OFFSETS: (LONG, "pixels"),
        SAMPLES: (SHORT, 1),
        ROWS_PER_STRIP: (LONG, height),
        COUNTS: (LONG, min(height * width, GREATEST_LONG)),
    }
    return changed(tags, **changes)


def changed(tags: Tags, **changes: Any) -> Tags:
    """Return tags with others, by the names above in small letters."""
    return tags | {globals()[name.upper()]: value for name, value in changes.items()}


def tiles(height: int = 16, width: int = 16, side: tuple[int, int] = (16, 16)) -> Tags:
    """Return the tags of a grey picture of one uncompressed tile."""
    tags = strips(height, width)
    for tag in (OFFSETS, ROWS_PER_STRIP, COUNTS):
        del tags[tag]
    return tags | {
        TILE_WIDTH: (LONG, side[1]),
        TILE_HEIGHT: (LONG, side[0]),
        TILE_OFFSETS: (LONG, "pixels"),
        TILE_COUNTS: (LONG, 256),
    }


def georeferenced(text: bytes = b"WGS 84 / UTM zone 32N|", epsg: int = 32632, scale: float = 1.0) -> Tags:
    """Return the tags of a picture with a place in a UTM zone."""
    keys = (1, 1, 0, 4, 1024, 0, 1, 1, 1025, 0, 1, 1, 3073, GEO_TEXTS, len(text), 0, 3072, 0, 1, epsg)
    return strips(
        scale=(DOUBLE, (scale, scale, 0)),
        tiepoint=(DOUBLE, (0, 0, 0, 500000, 5000000, 0)),
        geo_keys=(SHORT, keys),
        geo_texts=(ASCII, text + b"\0"),
    )
