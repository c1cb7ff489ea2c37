"""PNGs that are cut, corrupted chunk by chunk, or bombs."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.hostile_images.case import Case
from tests.hostile_images.contents import EXIFS, GREY, noise

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
    packed = zlib.compress(b"".join(b"\0" + GREY[16 * n : 16 * n + 16] for n in range(16)))
    return (
        _PNG
        + chunk(b"IHDR", ihdr() if header is None else header)
        + b"".join(chunks)
        + chunk(b"IDAT", packed if pixels is None else pixels)
        + chunk(b"IEND")
    )


def pngs() -> Iterator[Case]:
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
    for name, data in EXIFS.items():
        yield f"png with EXIF {name}", png(None, chunk(b"eXIf", data)), True
    yield "png with 20,000 empty chunks", png(None, *[chunk(b"teSt")] * 20_000), False
    yield "png with 100 bombs", png(None, *[chunk(b"zTXt", b"a\0\0" + packed)] * 100), False
    yield "png of noise", png(pixels=noise(300)), False
    yield "png of pixels that end early", png(pixels=zlib.compress(bytes(100))), False
    yield "png of pixels that never end", png(pixels=zlib.compress(bytes(2**23), 9)), True
    yield "png with filter 9", png(pixels=zlib.compress(b"\x09" * 272)), False
    yield "png with a dictionary", png(pixels=b"\x78\xbb" + bytes(300)), False
    yield "png whose gamma is 0", png(None, chunk(b"gAMA", bytes(4))), True
    yield "png with a world file's name", png(None, chunk(b"tEXt", b"file\0../../etc/passwd")), True
