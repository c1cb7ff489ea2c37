"""JPEGs that are cut, corrupted segment by segment, or also something else."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from tests.hostile_images.case import Case
from tests.hostile_images.contents import EXIFS, VRT, noise
from tests.hostile_images.encoders import ramp_jpeg

COMMENTS = {
    "a VRT": VRT.encode(),
    "a PDF": b"%PDF-1.7\n1 0 obj<</Type/Catalog>>endobj",
    "a GRIB": b"GRIB\0\0\0\2",
    "a tile service": b"<GDAL_WMS><Service name='TMS'><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>",
    "a JSON": b'{"type": "FeatureCollection", "features": []}',
    "a Dimap": b"<Dimap_Document><a/></Dimap_Document>",
}


def jpegs() -> Iterator[Case]:
    whole, progressive = ramp_jpeg(), ramp_jpeg(progressive=True)
    marks = segments(whole)
    frame = next(at for mark, at in marks if mark == 0xC0)
    yield from _jpeg_frames(whole, frame)
    for number, (mark, at) in enumerate(marks):
        yield f"jpg cut in segment {number} ({mark:x})", whole[: at + 3], False
        for name, length in {"0": 0, "1": 1, "2": 2, "max": 65535}.items():
            yield (
                f"jpg with segment {number} ({mark:x}) of length {name}",
                with_number(whole, at + 2, length, 2),
                True,
            )
        for name, byte in {"0": 0, "max": 255, "sign": 128}.items():
            yield (
                f"jpg with segment {number} ({mark:x}) of number {name}",
                with_number(whole, at + 4, byte, 1),
                True,
            )
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
    yield "jpg of noise in its scan", whole[: marks[-1][1] + 14] + noise(300) + b"\xff\xd9", True
    yield "jpg of restarts alone", whole[: marks[-1][1] + 14] + b"\xff\xd0" * 200 + b"\xff\xd9", True
    yield "jpg progressive, cut", progressive[: len(progressive) // 2], True
    for scans in (90, 500, 5000):
        yield f"jpg progressive of {scans} scans", _many_scans(progressive, scans), True
    yield "jpg of two frames", whole[:frame] + whole[frame : frame + 19] * 2 + whole[frame + 19 :], False
    yield "jpg arithmetic", with_number(whole, frame + 1, 0xC9, 1), True
    yield "jpg lossless", with_number(whole, frame + 1, 0xC3, 1), False
    yield "jpg of its start", b"\xff\xd8\xff", False
    yield "jpg of its start and end", b"\xff\xd8\xff\xd9", False
    yield "jpg of filling", b"\xff\xd8" + b"\xff" * 5000, False
    yield "jpg with 300,000 comments", whole[:2] + b"\xff\xfe\0\3a" * 300_000 + whole[2:], False
    for name, data in EXIFS.items():
        body = b"Exif\0\0" + data
        lead = b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body
        yield f"jpg with EXIF {name}", whole[:2] + lead + whole[2:], True
    for name, text in COMMENTS.items():
        body = text.ljust(0x0141 - 2)
        lead = b"\xff\xfe" + struct.pack(">H", len(body) + 2) + body
        yield f"jpg that is also {name}", whole[:2] + lead + whole[2:], True
    yield "jpg with a mask of noise behind it", whole + noise(99) + struct.pack("<I", len(whole)), True
    bomb = zlib.compress(bytes(2**23), 9)
    yield "jpg with a mask that is a bomb", whole + bomb + struct.pack("<I", len(whole)), True


def _jpeg_frames(whole: bytes, frame: int) -> Iterator[Case]:
    for name, value in {"0": 0, "1": 1, "max": 65535, "sign": 32768}.items():
        yield f"jpg of height {name}", with_number(whole, frame + 5, value, 2), True
        yield f"jpg of width {name}", with_number(whole, frame + 7, value, 2), True
    for name, value in {"0": 0, "1": 1, "max": 255, "sign": 128}.items():
        yield f"jpg of precision {name}", with_number(whole, frame + 4, value, 1), False
        yield f"jpg of {name} components", with_number(whole, frame + 9, value, 1), True
        for component in range(3):
            at = frame + 10 + 3 * component
            yield f"jpg with component {component} called {name}", with_number(whole, at, value, 1), True
            yield f"jpg with component {component} sampled {name}", with_number(whole, at + 1, value, 1), True
            yield (
                f"jpg with component {component} of table {name}",
                with_number(whole, at + 2, value, 1),
                True,
            )


def segments(whole: bytes) -> list[tuple[int, int]]:
    """Return the markers of a JPEG up to its first scan, and where each stands."""
    found, at = [], 2
    while True:
        found.append((whole[at + 1], at))
        if whole[at + 1] == 0xDA:
            return found
        at += 2 + int.from_bytes(whole[at + 2 : at + 4], "big")


def with_number(whole: bytes, at: int, value: int, size: int) -> bytes:
    return whole[:at] + value.to_bytes(size, "big") + whole[at + size :]


def _without(whole: bytes, at: int) -> bytes:
    return whole[:at] + whole[at + 2 + int.from_bytes(whole[at + 2 : at + 4], "big") :]


def _many_scans(whole: bytes, count: int) -> bytes:
    """Return a progressive JPEG that goes on with its last scan again and again."""
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * count + b"\xff\xd9"
