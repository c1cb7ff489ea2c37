"""Images as strangers send them: cut short, corrupted field by field, bombs, and other formats in disguise."""

from __future__ import annotations

import io
import json
import math
import sqlite3
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from PIL import Image
from rasterio.io import MemoryFile

from geoseg.geodata.opening import plain_files_welcome

Case = tuple[str, bytes, bool]
"""Name, bytes, and whether it may be taken (some readers forgive, or it is a fair image within the limits)."""

SHORT, LONG, RATIONAL, UNDEFINED, DOUBLE, ASCII, BYTE, LONG8 = 3, 4, 5, 7, 12, 2, 1, 16
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


def hostile_images() -> Iterator[Case]:
    """Yield the whole corpus, always the same, names unique."""
    yield from _tiffs()
    yield from _pngs()
    yield from _jpegs()
    yield from _bombs()
    yield from _disguises()
    yield from _fair()


# TIFF


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
        COUNTS: (LONG, min(height * width, 2**32 - 1)),
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


_GREY = bytes(range(256))
_DOUBLES = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf, "0": 0.0, "huge": 1e308, "tiny": 5e-324}
_MOST_CLASSIC, _MOST_BIG = 2**32 - 1, 2**64 - 1


def _tiffs() -> Iterator[Case]:
    layouts = {"strips": strips(), "tiles": tiles(), "georeferenced": georeferenced()}
    for name, tags in layouts.items():
        yield from _corrupted_ifd(f"tif {name}", tags, order="<", big=False)
    yield from _corrupted_ifd("tif big", strips(), order=">", big=True)
    yield from _cut_tiffs()
    yield from _tiff_structures()
    yield from _tiff_pixels()
    yield from _tiff_places()
    yield from _tiff_texts()


def _corrupted_ifd(name: str, tags: Tags, *, order: str, big: bool) -> Iterator[Case]:
    """Yield an image with every field of every entry set to 0, 1, its greatest value and its sign bit."""
    whole = bytearray(tiff(tags, _GREY, order=order, big=big))
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
    classic, big = tiff(strips(), _GREY), tiff(strips(), _GREY, big=True)
    ends = sorted(
        {1, 2, 4, 6, 8, 10} | {10 + 12 * n + k for n in range(9) for k in (2, 4, 8, 12)} | {122, 300}
    )
    for end in ends:
        yield f"tif cut after {end} bytes", classic[:end], False
    for end in (4, 6, 8, 12, 16, 20, 24, 26, 28, 36, 44, 100, 204, 210, 300):
        yield f"tif big cut after {end} bytes", big[:end], False


def _tiff_structures() -> Iterator[Case]:
    last = len(tiff(strips())) - 4
    yield "tif whose IFD follows itself", tiff(strips(), _GREY, following=8), True
    yield "tif whose next IFD is the header", tiff(strips(), _GREY, following=1), True
    yield "tif whose next IFD is past the end", tiff(strips(), _GREY, following=_MOST_CLASSIC), True
    yield "tif of two IFDs that follow each other", _chain(2, closes=True), True
    yield "tif of 900 IFDs", _chain(900), True
    yield "tif of 2,000 IFDs", _chain(2000), False
    yield "tif of 20,000 IFDs", _chain(20_000), False
    yield "tif whose IFD is at 0", b"II*\0" + bytes(300), False
    yield "tif whose IFD is past the end", b"II*\0" + struct.pack("<I", _MOST_CLASSIC) + bytes(300), False
    yield "tif whose IFD has 65,535 entries", b"II*\0\x08\0\0\0\xff\xff" + bytes(3000), False
    yield "tif whose IFD has no entries", b"II*\0\x08\0\0\0\0\0" + bytes(300), False
    yield "tif big of 2^63 entries", b"II+\0\x08\0\0\0" + struct.pack("<QQ", 16, 2**63) + bytes(300), False
    yield "tif big with offsets of 7 bytes", b"II+\0\x07\0\0\0" + struct.pack("<Q", 16) + bytes(300), False
    yield "tif of version 44", b"II,\0\x08\0\0\0" + bytes(300), False
    yield "tif with tags out of order", _reversed(tiff(strips(), _GREY)), True
    yield "tif with a tag twice", _twice(tiff(strips(), _GREY)), True
    yield "tif whose SubIFD is itself", tiff(strips(subifds=(LONG, 8)), _GREY), True
    yield "tif with 10,000 SubIFDs", tiff(strips(subifds=(LONG, [8] * 10_000)), _GREY), False
    yield "tif big of 2^60 SubIFDs", _many_values(SUBIFDS, 2**60), False
    yield "tif big of 2^60 bytes of metadata", _many_values(METADATA, 2**60), False
    yield "tif of random bytes", b"II*\0\x08\0\0\0" + _random(4096), False
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
    return b"II*\0\x08\0\0\0" + b"".join(part for part in parts if part) + _GREY


def _reversed(whole: bytes) -> bytes:
    entries = [whole[10 + 12 * n : 22 + 12 * n] for n in range(9)]
    return whole[:10] + b"".join(reversed(entries)) + whole[118:]


def _twice(whole: bytes) -> bytes:
    return whole[:22] + whole[10:22] + whole[34:]


def _many_values(tag: int, count: int) -> bytes:
    """Return a BigTIFF that says it has that many values of a tag."""
    whole = tiff(strips() | {tag: (LONG8, 16)}, _GREY, big=True)
    at = whole.index(struct.pack("<HH", tag, LONG8))
    return whole[: at + 4] + struct.pack("<Q", count) + whole[at + 12 :]


def _tiff_pixels() -> Iterator[Case]:
    many = [0x7FFF0000] * 4096
    changes: Mapping[str, dict[str, Any]] = {
        "width 0": {"width": (LONG, 0)},
        "height 0": {"height": (LONG, 0)},
        "2^31 rows": {"height": (LONG, 2**31)},
        "2^32 - 1 rows and columns": {"height": (LONG, _MOST_CLASSIC), "width": (LONG, _MOST_CLASSIC)},
        "rows and columns of -1": {"height": (SHORT, 65535), "width": (SHORT, 65535)},
        "65,535 bands": {"samples": (SHORT, 65535)},
        "17 bands": {"samples": (SHORT, 17), "bits": (SHORT, [8] * 17), "planar": (SHORT, 2)},
        "no bands": {"samples": (SHORT, 0)},
        "bits 3": {"bits": (SHORT, 3)},
        "bits 128": {"bits": (SHORT, 128)},
        "bits 65,535": {"bits": (SHORT, 65535)},
        "bits that differ": {"samples": (SHORT, 3), "bits": (SHORT, (8, 16, 32)), "photometric": (SHORT, 2)},
        "rows per strip 0": {"rows_per_strip": (LONG, 0)},
        "rows per strip 2^32 - 1": {"rows_per_strip": (LONG, _MOST_CLASSIC)},
        "4,096 strips that are not there": {"rows_per_strip": (LONG, 1), "offsets": (LONG, many)},
        "a strip of 2^32 - 1 bytes": {"counts": (LONG, _MOST_CLASSIC)},
        "a strip of no bytes": {"counts": (LONG, 0)},
        "a strip over the header": {"offsets": (LONG, 0)},
        "a strip of 3 bytes": {"counts": (LONG, 3)},
        "complex whole numbers": {"bits": (SHORT, 32), "format": (SHORT, 5)},
        "complex numbers": {"bits": (SHORT, 64), "format": (SHORT, 6)},
        "a format that does not exist": {"format": (SHORT, 77)},
        "floats of 8 bits": {"format": (SHORT, 3)},
        "floats of 24 bits": {"format": (SHORT, 3), "bits": (SHORT, 24)},
        "a palette without colours": {"photometric": (SHORT, 3)},
        "a palette of 3 colours": {"photometric": (SHORT, 3), "colormap": (SHORT, [1] * 9)},
        "a palette of 16 bits": {
            "photometric": (SHORT, 3),
            "bits": (SHORT, 16),
            "colormap": (SHORT, [1] * (3 * 2**16)),
        },
        "a palette of 32 bits": {
            "photometric": (SHORT, 3),
            "bits": (SHORT, 32),
            "colormap": (SHORT, [1] * 768),
        },
        "a palette of negative numbers": {
            "photometric": (SHORT, 3),
            "format": (SHORT, 2),
            "colormap": (SHORT, [1] * 768),
        },
        "65,535 extra samples": {"extra": (SHORT, [2] * 65535)},
        "YCbCr without JPEG": {"photometric": (SHORT, 6), "samples": (SHORT, 3), "bits": (SHORT, (8, 8, 8))},
        "the colours of film": {"photometric": (SHORT, 32803)},
    }
    for name, change in changes.items():
        yield f"tif with {name}", tiff(changed(strips(), **change), _GREY), True
    for number in (
        2,
        3,
        4,
        5,
        6,
        7,
        8,
        32773,
        32809,
        32946,
        34661,
        34712,
        34887,
        34925,
        50000,
        50001,
        50002,
        65000,
    ):
        tags = strips(compression=(SHORT, number), counts=(LONG, 256))
        yield f"tif of noise that says compression {number}", tiff(tags, _random(256)), True
    for rows, cols in ((2**31, 2**31), (2**31, 16), (65536, 65536), (0, 16), (17, 17), (2**20, 2**20)):
        yield f"tif with tiles of {rows} x {cols}", tiff(tiles(side=(rows, cols)), _GREY), (rows == 17)
    lined = strips(16, 16, rows_per_strip=(LONG, 1), offsets=(LONG, [300] * 16), counts=(LONG, [16] * 16))
    yield "tif whose strips overlap", tiff(lined, _GREY * 2), True


def _tiff_places() -> Iterator[Case]:
    for name, value in _DOUBLES.items():
        tags = georeferenced(scale=value)
        yield f"tif with pixels of {name} m", tiff(tags, _GREY), True
        corner = georeferenced() | {TIEPOINT: (DOUBLE, (0, 0, 0, value, value, 0))}
        yield f"tif at {name}, {name}", tiff(corner, _GREY), True
        matrix = georeferenced() | {MATRIX: (DOUBLE, [value] * 16)}
        del matrix[SCALE], matrix[TIEPOINT]
        yield f"tif with a matrix of {name}", tiff(matrix, _GREY), True
    for epsg in (0, 1, 4326, 4978, 5773, 3857, 3413, 32767, 65535, 2193):
        yield f"tif in EPSG {epsg}", tiff(georeferenced(epsg=epsg), _GREY), True
    degrees = (
        'GEOGCS["x",DATUM["d",SPHEROID["s",6378137,298]],PRIMEM["G",0],UNIT["degree",0.0174532925199433]'
    )
    for name, wkt in {
        "a grid file": f'{degrees},EXTENSION["PROJ4","+proj=longlat +ellps=GRS80 +nadgrids=/etc/passwd +no_defs"]]',
        "no end": degrees,
        "a unit of 0": degrees.replace("0.0174532925199433", "0") + "]",
        "a sphere of size 0": degrees.replace("6378137", "0") + "]",
        "9,000 brackets": "GEOGCS[" * 9000,
        "a place on the screen": 'LOCAL_CS["x",UNIT["metre",1]]',
        "the Moon": degrees.replace("6378137", "1737400") + "]",
    }.items():
        text = f"ESRI PE String = {wkt}|".encode()
        yield f"tif whose CRS has {name}", tiff(georeferenced(text, epsg=32767), _GREY), True
    keys = {
        "none": (1, 1, 0, 0),
        "65,535 of them": (1, 1, 0, 65535),
        "keys past the end": (1, 1, 0, 1, 3072, GEO_DOUBLES, 9, 9),
    }
    for name, values in keys.items():
        yield f"tif with geo keys: {name}", tiff(georeferenced() | {GEO_KEYS: (SHORT, values)}, _GREY), True
    yield "tif with an RPC of NaN", tiff(strips(rpc=(DOUBLE, [math.nan] * 92)), _GREY), True


def _metadata(*items: tuple[str, str, str]) -> bytes:
    inner = "".join(f'<Item name="{name}" domain="{domain}">{text}</Item>' for name, domain, text in items)
    return f"<GDALMetadata>{inner}</GDALMetadata>\0".encode()


_VRT = (
    '<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
    '<SourceFilename relativeToVRT="0">/etc/passwd</SourceFilename><SourceBand>1</SourceBand>'
    "</SimpleSource></VRTRasterBand></VRTDataset>"
)


def _tiff_texts() -> Iterator[Case]:
    named = {"OVERVIEWS": "OVERVIEW_FILE", "overviews": "OVERVIEW_FILE", "ProxyOverviewRequest": "FILENAME"}
    for domain, name in named.items():
        for target in (
            "/etc/passwd",
            "/vsicurl/http://127.0.0.1:9/a.tif",
            "vrt:///etc/passwd",
            ":::BASE:::a.tif",
        ):
            text = _metadata((name, domain, target))
            yield f"tif whose {domain} are in {target}", tiff(strips(metadata=(ASCII, text)), _GREY), False
    texts = {
        "that is no XML": b"<GDALMetadata><Item",
        "of 10,000 brackets": b"<a>" * 10_000,
        "that is not UTF-8": _metadata(("A", "", "x")).replace(b">x<", b">\xff\xfe<"),
        "with entities": b'<!DOCTYPE a [<!ENTITY b "'
        + b"c" * 1000
        + b'">]>'
        + b"<a>"
        + b"&b;" * 1000
        + b"</a>\0",
        "that is a VRT": _VRT.encode() + b"\0",
        "with a VRT": _metadata(("a", "xml:VRT", "&lt;VRTDataset/&gt;")),
        "with a georeference elsewhere": _metadata(("X_DATASET", "GEOLOCATION", "/etc/passwd")),
        "with an orientation of 2^9": _metadata(("EXIF_Orientation", "", "512")),
        "with an orientation in superscript": _metadata(("EXIF_Orientation", "", "²")),
        "with an orientation of 5,000 digits": _metadata(("EXIF_Orientation", "", "9" * 5000)),
        "with an orientation": _metadata(("EXIF_Orientation", "", "6")),
        "of 5,000 items": _metadata(*[(f"A{n}", "", "") for n in range(5000)]),
    }
    for name, text in texts.items():
        yield f"tif with metadata {name}", tiff(strips(metadata=(ASCII, text)), _GREY), True
    for name, text in {
        "8 MB": _metadata(("A", "", "x" * 2**23)),
        "300,000 items": _metadata(*[(f"A{n}", "", "x") for n in range(300_000)]),
    }.items():
        yield f"tif with metadata of {name}", tiff(strips(metadata=(ASCII, text)), _GREY), False
    for name, text in {
        "words": b"none\0",
        "NaN": b"nan\0",
        "1e400": b"1e400\0",
        "nothing": b"\0",
        "bytes": b"\xff\xfe\0",
        "20 digits": b"9" * 20 + b"\0",
        "a million digits": b"9" * 10**6 + b"\0",
        "-1": b"-1\0",
    }.items():
        yield f"tif with nodata of {name}", tiff(strips(nodata=(ASCII, text)), _GREY), True
    for name, text in {"a VRT": _VRT.encode(), "Latin-1": b"K\xf6ln\0", "no end": b"x" * 300}.items():
        yield f"tif described by {name}", tiff(strips(description=(ASCII, text)), _GREY), True
    yield "tif with a mask of 60,000 x 60,000", _with_mask(60_000, 60_000), True
    yield "tif with a mask of 1 x 1", _with_mask(1, 1), True


def _with_mask(height: int, width: int) -> bytes:
    mask = strips(
        height, width, subfile=(LONG, 4), photometric=(SHORT, 4), offsets=(LONG, 0), counts=(LONG, 0)
    )
    first = tiff(strips(), _GREY)
    return tiff(strips(), _GREY + tiff(mask)[8:], following=len(first))


# PNG

_PNG = b"\x89PNG\r\n\x1a\n"


def chunk(kind: bytes, data: bytes = b"", *, length: int | None = None, crc: int | None = None) -> bytes:
    """Return a chunk of a PNG, with a length or CRC that may be wrong."""
    right = zlib.crc32(kind + data)
    return (
        struct.pack(">I", len(data) if length is None else length)
        + kind
        + data
        + struct.pack(">I", right if crc is None else crc)
    )


def ihdr(height: int = 16, width: int = 16, rest: tuple[int, ...] = (8, 0, 0, 0, 0)) -> bytes:
    """Return the header of a PNG: depth, colour type, compression, filter, interlacing at the end."""
    return struct.pack(">IIBBBBB", width, height, *rest)


def png(header: bytes | None = None, *chunks: bytes, pixels: bytes | None = None) -> bytes:
    """Return a PNG with chunks between its header and its pixels."""
    packed = zlib.compress(b"".join(b"\0" + _GREY[16 * n : 16 * n + 16] for n in range(16)))
    return (
        _PNG
        + chunk(b"IHDR", ihdr() if header is None else header)
        + b"".join(chunks)
        + chunk(b"IDAT", packed if pixels is None else pixels)
        + chunk(b"IEND")
    )


def _pngs() -> Iterator[Case]:
    yield from _png_headers()
    yield from _png_chunks()
    whole = png()
    for end in sorted(
        {4, 8, 10, 12, 16, 20, 24, 25, 26, 27, 28, 29, 33, 37, 41, 60, len(whole) - 12, len(whole) - 1}
    ):
        yield f"png cut after {end} bytes", whole[:end], False


def _png_headers() -> Iterator[Case]:
    for name, value in {"0": 0, "1": 1, "2^31 - 1": 2**31 - 1, "2^31": 2**31, "2^32 - 1": 2**32 - 1}.items():
        yield f"png of height {name}", png(ihdr(value, 16)), value == 1
        yield f"png of width {name}", png(ihdr(16, value)), value == 1
        yield f"png of {name} each way", png(ihdr(value, value)), value == 1
    for place, name in enumerate(("depth", "colour type", "compression", "filter", "interlacing")):
        for value in (0, 1, 2, 3, 5, 7, 16, 128, 255):
            rest = [8, 0, 0, 0, 0]
            rest[place] = value
            if rest != [8, 0, 0, 0, 0]:
                yield f"png with {name} {value}", png(ihdr(rest=tuple(rest))), True
    yield "png with a header of 12 bytes", png(ihdr()[:12]), False
    yield "png with a header of 14 bytes", png(ihdr() + b"\0"), False
    yield "png with two headers", png(None, chunk(b"IHDR", ihdr(2, 2))), True
    yield "png without header", _PNG + chunk(b"IDAT", b"") + chunk(b"IEND"), False
    yield "png of header alone", _PNG + chunk(b"IHDR", ihdr()), False
    yield "png of nothing but its end", _PNG + chunk(b"IEND"), False


def _png_chunks() -> Iterator[Case]:
    for name, length in {"0": 0, "1": 1, "2^31 - 1": 2**31 - 1, "2^31": 2**31, "2^32 - 1": 2**32 - 1}.items():
        wrong = _PNG + chunk(b"IHDR", ihdr()) + chunk(b"IDAT", zlib.compress(bytes(272)), length=length)
        yield f"png with pixels of length {name}", wrong + chunk(b"IEND"), False
        yield f"png with a header of length {name}", _PNG + chunk(b"IHDR", ihdr(), length=length), False
        text = chunk(b"tEXt", b"a\0b", length=length)
        yield f"png with a text of length {name}", png(None, text), True
    start = _PNG + chunk(b"IHDR", ihdr(), crc=0)
    yield "png with a wrong CRC of its header", start + png()[33:], True
    yield (
        "png with a wrong CRC of its pixels",
        png(None, chunk(b"IDAT", zlib.compress(bytes(272)), crc=1)),
        True,
    )
    palette = ihdr(rest=(8, 3, 0, 0, 0))
    colors = {
        "without colours": b"",
        "of 1 colour": bytes(3),
        "of 257 colours": bytes(771),
        "of 4 bytes": bytes(4),
    }
    for name, data in colors.items():
        yield f"png with a palette {name}", png(palette, chunk(b"PLTE", data)), True
    yield "png without its palette", png(palette), True
    for size in (0, 1, 2, 300):
        see = chunk(b"tRNS", bytes(size))
        yield f"png of a palette with {size} alphas", png(palette, chunk(b"PLTE", bytes(768)), see), True
        yield f"png of grey with {size} bytes of alpha", png(None, see), True
    packed = zlib.compress(bytes(2**23), 9)
    for kind, lead in {b"zTXt": b"a\0\0", b"iCCP": b"a\0\0", b"iTXt": b"a\0\1\0\0\0"}.items():
        yield f"png with a bomb in {kind.decode()}", png(None, chunk(kind, lead + packed)), True
    for name, data in _EXIFS.items():
        yield f"png with EXIF {name}", png(None, chunk(b"eXIf", data)), True
    yield "png with 20,000 empty chunks", png(None, *[chunk(b"teSt")] * 20_000), False
    yield "png with 100 bombs", png(None, *[chunk(b"zTXt", b"a\0\0" + packed)] * 100), False
    yield "png of noise", png(pixels=_random(300)), False
    yield "png of pixels that end early", png(pixels=zlib.compress(bytes(100))), False
    yield "png of pixels that never end", png(pixels=zlib.compress(bytes(2**23), 9)), True
    yield "png with filter 9", png(pixels=zlib.compress(b"\x09" * 272)), False
    yield "png with a dictionary", png(pixels=b"\x78\xbb" + bytes(300)), False
    yield "png whose gamma is 0", png(None, chunk(b"gAMA", bytes(4))), True
    yield "png with a world file's name", png(None, chunk(b"tEXt", b"file\0../../etc/passwd")), True


_EXIFS = {
    "of nothing": b"",
    "of noise": bytes(range(64)),
    "that is cut": b"II*\0\x08\0\0\0\1",
    "that is cyclic": tiff({274: (SHORT, 1)}, following=8),
    "of orientation 0": tiff({274: (SHORT, 0)}),
    "of orientation 65,535": tiff({274: (SHORT, 65535)}),
    "of two orientations": tiff({274: (SHORT, (6, 6))}),
    "of orientation in words": tiff({274: (ASCII, b"abc\0")}),
    "of orientation 6.5": tiff({274: (DOUBLE, 6.5)}),
    "of orientation NaN": tiff({274: (DOUBLE, math.nan)}),
    "of orientation infinity": tiff({274: (DOUBLE, math.inf)}),
    "with an orientation past the end": tiff({274: (SHORT, list(range(99)))})[:40],
    "of unknown type": tiff({274: (SHORT, 6)}).replace(b"\x12\1\3\0", b"\x12\1\x63\0"),
    "with a place that is no IFD": tiff({34853: (LONG, _MOST_CLASSIC)}),
    "in Latin-1": tiff({271: (ASCII, b"K\xf6ln\0"), 274: (SHORT, 6)}),
    "of a fraction over 0": tiff({274: (5, bytes(8))}),
}


# JPEG


def _jpeg(**options: Any) -> bytes:
    file = io.BytesIO()
    ramp = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8) * 3
    Image.fromarray(np.stack([ramp, ramp.T.reshape(32, 48), ramp[::-1]], axis=-1)).save(
        file, "JPEG", **options
    )
    return file.getvalue()


def segments(whole: bytes) -> list[tuple[int, int]]:
    """Return the markers of a JPEG up to its first scan, and where each stands."""
    found, at = [], 2
    while True:
        found.append((whole[at + 1], at))
        if whole[at + 1] == 0xDA:
            return found
        at += 2 + int.from_bytes(whole[at + 2 : at + 4], "big")


def _jpegs() -> Iterator[Case]:
    whole, progressive = _jpeg(), _jpeg(progressive=True)
    marks = segments(whole)
    frame = next(at for mark, at in marks if mark == 0xC0)
    yield from _jpeg_frames(whole, frame)
    for number, (mark, at) in enumerate(marks):
        yield f"jpg cut in segment {number} ({mark:x})", whole[: at + 3], False
        for name, length in {"0": 0, "1": 1, "2": 2, "max": 65535}.items():
            yield (
                f"jpg with segment {number} ({mark:x}) of length {name}",
                _set(whole, at + 2, length, 2),
                True,
            )
        for name, byte in {"0": 0, "max": 255, "sign": 128}.items():
            yield f"jpg with segment {number} ({mark:x}) of number {name}", _set(whole, at + 4, byte, 1), True
        yield f"jpg without segment {number} ({mark:x})", _without(whole, at), True
    for share in (0.1, 0.5, 0.9):
        scan = marks[-1][1]
        yield f"jpg cut in its scan at {share}", whole[: scan + int(share * (len(whole) - scan))], True
    table = next(at for mark, at in marks if mark == 0xC4)
    for name, counts in {"overfull": b"\xff" * 16, "empty": bytes(16), "long": bytes(15) + b"\xff"}.items():
        yield (
            f"jpg with a Huffman table that is {name}",
            whole[: table + 5] + counts + whole[table + 21 :],
            True,
        )
    yield "jpg of noise in its scan", whole[: marks[-1][1] + 14] + _random(300) + b"\xff\xd9", True
    yield "jpg of restarts alone", whole[: marks[-1][1] + 14] + b"\xff\xd0" * 200 + b"\xff\xd9", True
    yield "jpg progressive, cut", progressive[: len(progressive) // 2], True
    for scans in (90, 500, 5000):
        yield f"jpg progressive of {scans} scans", _many_scans(progressive, scans), True
    yield "jpg of two frames", whole[:frame] + whole[frame : frame + 19] * 2 + whole[frame + 19 :], False
    yield "jpg arithmetic", _set(whole, frame + 1, 0xC9, 1), True
    yield "jpg lossless", _set(whole, frame + 1, 0xC3, 1), False
    yield "jpg of its start", b"\xff\xd8\xff", False
    yield "jpg of its start and end", b"\xff\xd8\xff\xd9", False
    yield "jpg of filling", b"\xff\xd8" + b"\xff" * 5000, False
    yield "jpg with 300,000 comments", whole[:2] + b"\xff\xfe\0\3a" * 300_000 + whole[2:], False
    for name, data in _EXIFS.items():
        body = b"Exif\0\0" + data
        lead = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        yield f"jpg with EXIF {name}", whole[:2] + lead + whole[2:], True
    for name, text in _JPEG_COMMENTS.items():
        body = text.ljust(0x0141 - 2)
        lead = b"\xff\xfe" + struct.pack(">H", len(body) + 2) + body
        yield f"jpg that is also {name}", whole[:2] + lead + whole[2:], True
    yield "jpg with a mask of noise behind it", whole + _random(99) + struct.pack("<I", len(whole)), True
    bomb = zlib.compress(bytes(2**23), 9)
    yield "jpg with a mask that is a bomb", whole + bomb + struct.pack("<I", len(whole)), True


_JPEG_COMMENTS = {
    "a VRT": _VRT.encode(),
    "a PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj",
    "a GRIB": b"GRIB\0\0\0\2",
    "a tile service": b"<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>",
    "a JSON": b'{"type": "FeatureCollection", "features": []}',
    "a Dimap": b"<Dimap_Document><a/></Dimap_Document>",
}


def _jpeg_frames(whole: bytes, frame: int) -> Iterator[Case]:
    for name, value in {"0": 0, "1": 1, "max": 65535, "sign": 32768}.items():
        yield f"jpg of height {name}", _set(whole, frame + 5, value, 2), True
        yield f"jpg of width {name}", _set(whole, frame + 7, value, 2), True
    for name, value in {"0": 0, "1": 1, "max": 255, "sign": 128}.items():
        yield f"jpg of precision {name}", _set(whole, frame + 4, value, 1), False
        yield f"jpg of {name} components", _set(whole, frame + 9, value, 1), True
        for component in range(3):
            at = frame + 10 + 3 * component
            yield f"jpg with component {component} called {name}", _set(whole, at, value, 1), True
            yield f"jpg with component {component} sampled {name}", _set(whole, at + 1, value, 1), True
            yield f"jpg with component {component} of table {name}", _set(whole, at + 2, value, 1), True


def _set(whole: bytes, at: int, value: int, size: int) -> bytes:
    return whole[:at] + value.to_bytes(size, "big") + whole[at + size :]


def _without(whole: bytes, at: int) -> bytes:
    return whole[:at] + whole[at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big") :]


def _many_scans(whole: bytes, count: int) -> bytes:
    """Return a progressive JPEG that goes on with its last scan again and again."""
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + b"\xff\xd9"


# Bombs


def _bombs() -> Iterator[Case]:
    for side in (60_000, 65_535, 100_000):
        yield f"tif of {side} x {side} in 1 KB", tiff(strips(side, side, rows_per_strip=(LONG, 1))), False
        yield f"tif of {side} x {side} in one strip", tiff(strips(side, side)), False
        yield f"png of {side} x {side} in 1 KB", png(ihdr(side, side)), False
    yield "jpg of 65,000 x 65,000", _sized_jpeg(65_000, 65_000), False
    yield "png interlaced of 60,000 x 60,000", png(ihdr(60_000, 60_000, (8, 6, 0, 0, 1))), False
    yield "tif of 100,000 x 40,000 in one strip", tiff(strips(100_000, 40_000)), False
    yield "tif of 60,000 bands", tiff(strips(samples=(SHORT, 60_000), planar=(SHORT, 2))), False
    for compress in ("deflate", "lzw", "zstd", "lerc", "packbits", "lzma", "webp"):
        yield f"tif of zeros, {compress}", _zeros(4096, 4096, compress=compress), True
        yield f"tif of zeros, {compress}, more than allowed", _zeros(4500, 4500, compress=compress), False
    yield "tif of zeros in one block of 2 GiB", _vast_block(), False
    yield "png of zeros", _picture(np.zeros((4096, 4096), np.uint8)), True
    yield "png of zeros, more than allowed", _picture(np.zeros((4500, 4500), np.uint8)), False
    for height, width in ((100_000, 1), (1, 100_000)):
        values = np.zeros((height, width), np.uint8)
        yield f"png of {height} x {width}", _picture(values), True
        yield f"tif of {height} x {width}", _geotiff(values[None]), True
        yield f"jpg of {height} x {width}", _sized_jpeg(height % 65_536, width % 65_536), True


def _sized_jpeg(height: int, width: int) -> bytes:
    whole = _jpeg()
    frame = next(at for mark, at in segments(whole) if mark == 0xC0)
    return _set(_set(whole, frame + 5, height, 2), frame + 7, width, 2)


def _vast_block() -> bytes:
    tags = strips(4000, 4000, bits=(SHORT, [64] * 16), samples=(SHORT, 16), format=(SHORT, [3] * 16))
    return tiff(tags | {COMPRESSION: (SHORT, 8), PLANAR: (SHORT, 1), COUNTS: (LONG, 200)}, bytes(200))


def _zeros(height: int, width: int, *, compress: str) -> bytes:
    bands = np.zeros((3 if compress == "webp" else 1, height, width), np.uint8)
    return _geotiff(bands, compress=compress, blockysize=64, interleave="pixel")


def _geotiff(bands: np.ndarray, **options: Any) -> bytes:
    count, height, width = bands.shape
    with MemoryFile() as memory, plain_files_welcome():
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": bands.dtype}
        with memory.open(**profile, **options) as dataset:
            dataset.write(bands)
        return bytes(memory.read())


def _picture(values: np.ndarray, kind: str = "PNG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


# Other formats


def _disguises() -> Iterator[Case]:
    texts = {
        "nothing": b"",
        "one byte": b"I",
        "two bytes": b"II",
        "spaces": b" " * 5000,
        "zeros": bytes(5000),
        "a VRT": _VRT.encode(),
        "a VRT behind a space": b" " + _VRT.encode(),
        "a VRT of a server": _VRT.replace("/etc/passwd", "/vsicurl/http://127.0.0.1:9/a.tif").encode(),
        "a VRT that computes": b'<VRTDataset rasterXSize="9" rasterYSize="9"><VRTRasterBand subClass="VRTDerivedRasterBand">'
        b"<PixelFunctionLanguage>Python</PixelFunctionLanguage></VRTRasterBand></VRTDataset>",
        "a tile index": b"<GDALTileIndexDataset><IndexDataset>/etc/passwd</IndexDataset></GDALTileIndexDataset>",
        "a tile service": _JPEG_COMMENTS["a tile service"],
        "GML": b'<?xml version="1.0"?><gml:FeatureCollection xmlns:gml="http://www.opengis.net/gml"/>',
        "XML with an entity": b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>',
        "KML": b'<?xml version="1.0"?><kml xmlns="http://www.opengis.net/kml/2.2"><GroundOverlay/></kml>',
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "HTML": b"<!DOCTYPE html><script>alert(1)</script>",
        "JSON": json.dumps({"type": "FeatureCollection", "features": []}).encode(),
        "a STAC item": json.dumps({"type": "Feature", "stac_version": "1.0.0", "assets": {}}).encode(),
        "PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF",
        "PostScript": b"%!PS-Adobe-3.0\n(/etc/passwd) (r) file\n",
        "HDF5": b"\x89HDF\r\n\x1a\n" + bytes(500),
        "netCDF": b"CDF\1" + bytes(500),
        "netCDF 5": b"CDF\5" + bytes(500),
        "GRIB": b"GRIB\0\0\0\2" + bytes(500),
        "NITF": b"NITF02.10" + b"0" * 500,
        "GIF": _picture(np.zeros((9, 9), np.uint8), "GIF"),
        "BMP": _picture(np.zeros((9, 9), np.uint8), "BMP"),
        "WebP": _picture(np.zeros((9, 9, 3), np.uint8), "WEBP"),
        "PPM": b"P6\n9 9\n255\n" + bytes(243),
        "XPM": b"/* XPM */\nstatic char *a[] = {",
        "JPEG 2000": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(100),
        "FITS": b"SIMPLE  =                    T" + b" " * 3000,
        "MRF": b"<MRF_META><Raster><Size x='9' y='9'/></Raster><CachedSource><Source>/etc/passwd</Source></CachedSource></MRF_META>",
        "ASCII grid": b"ncols 2\nnrows 2\nxllcorner 0\nyllcorner 0\ncellsize 1\n1 2\n3 4\n",
        "XYZ": b"0 0 1\n1 0 2\n0 1 3\n1 1 4\n",
        "ENVI": b"ENVI\nsamples = 9\nlines = 9\n",
        "gzip": b"\x1f\x8b\x08\0" + bytes(60),
        "tar": b"../../etc/passwd".ljust(257, b"\0") + b"ustar\x0000" + bytes(300),
        "a pickle": b"\x80\x04\x95\x10\0\0\0\0\0\0\0\x8c\x05posix\x94.",
        "an executable": b"\x7fELF\2\1\1" + bytes(100),
        "a script": b"#!/bin/sh\ntouch /tmp/it-ran\n",
        "a path": b"/vsicurl/http://127.0.0.1:9/a.tif\n",
        "zip": _zip({"a.tif": tiff(strips(), _GREY)}),
        "zip that slips": _zip({"../../../tmp/it-slipped": b"x", "/etc/it-slipped": b"x"}),
        "SQLite": _database(0, "create table a (b)"),
        "GeoPackage": _database(0x47504B47, "create table gpkg_contents (table_name, data_type)"),
        "MBTiles": _database(
            0, "create table metadata (name, value)", "create table tiles (zoom_level, tile_data)"
        ),
        "a PNG behind a space": b" " + png(),
        "a PNG with line ends of Unix": png().replace(b"\r\n", b"\n", 1),
        "a JPEG without its first byte": _jpeg()[1:],
    }
    for name, data in texts.items():
        yield f"disguise: {name}", data, False


def _zip(files: Mapping[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(zipfile.ZipInfo(name), data)
    return file.getvalue()


def _database(application: int, *statements: str) -> bytes:
    with sqlite3.connect(":memory:") as base:
        base.execute(f"pragma application_id = {application}")
        for statement in statements:
            base.execute(statement)
    data = base.serialize()
    base.close()
    return data


# Fair images that are strange


def _fair() -> Iterator[Case]:
    yield "fair: tif", tiff(strips(), _GREY), True
    yield "fair: tif of the other byte order", tiff(strips(), _GREY, order=">"), True
    yield "fair: tif big", tiff(strips(), _GREY, big=True), True
    yield "fair: tif tiled", tiff(tiles(), _GREY), True
    yield "fair: tif with a place", tiff(georeferenced(), _GREY), True
    yield "fair: tif of NaN", _geotiff(np.full((3, 16, 16), np.nan, np.float32)), True
    yield "fair: tif of infinity", _geotiff(np.full((3, 16, 16), np.inf, np.float64)), True
    yield "fair: tif of numbers past float32", _geotiff(np.full((3, 16, 16), 1e300)), True
    yield "fair: tif of nodata alone", _geotiff(np.full((3, 16, 16), 7, np.uint8), nodata=7), True
    yield "fair: tif sparse", _geotiff(np.zeros((1, 64, 64), np.uint8), SPARSE_OK="TRUE"), True
    yield "fair: png", png(), True
    yield "fair: png of one pixel", _picture(np.zeros((1, 1), np.uint8)), True
    yield "fair: jpg", _jpeg(), True
    yield "fair: jpg progressive", _jpeg(progressive=True), True


def _random(size: int) -> bytes:
    return np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
