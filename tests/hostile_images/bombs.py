"""Small files of large images."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from tests.hostile_images.case import Case
from tests.hostile_images.encoders import geotiff, picture, ramp_jpeg
from tests.hostile_images.jpegs import segments, with_number
from tests.hostile_images.pngs import ihdr, png
from tests.hostile_images.tiff_writing import COMPRESSION, COUNTS, LONG, PLANAR, SHORT, strips, tiff


def bombs() -> Iterator[Case]:
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
    yield "png of zeros", picture(np.zeros((4096, 4096), np.uint8)), True
    yield "png of zeros, more than allowed", picture(np.zeros((4500, 4500), np.uint8)), False
    for height, width in ((100_000, 1), (1, 100_000)):
        values = np.zeros((height, width), np.uint8)
        yield f"png of {height} x {width}", picture(values), True
        yield f"tif of {height} x {width}", geotiff(values[None]), True
        yield f"jpg of {height} x {width}", _sized_jpeg(height % 65_536, width % 65_536), True


def _sized_jpeg(height: int, width: int) -> bytes:
    whole = ramp_jpeg()
    frame = next(at for mark, at in segments(whole) if mark == 0xC0)
    return with_number(with_number(whole, frame + 5, height, 2), frame + 7, width, 2)


def _vast_block() -> bytes:
    tags = strips(4000, 4000, bits=(SHORT, [64] * 16), samples=(SHORT, 16), format=(SHORT, [3] * 16))
    return tiff(tags | {COMPRESSION: (SHORT, 8), PLANAR: (SHORT, 1), COUNTS: (LONG, 200)}, bytes(200))


def _zeros(height: int, width: int, *, compress: str) -> bytes:
    bands = np.zeros((3 if compress == "webp" else 1, height, width), np.uint8)
    return geotiff(bands, compress=compress, blockysize=64, interleave="pixel")
