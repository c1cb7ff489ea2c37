"""TIFFs whose pixels have a shape, type, layout or compression that is odd."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY, noise
from tests.hostile_images.tiff_writing import GREATEST_LONG, LONG, SHORT, changed, strips, tiff, tiles


def odd_pixels() -> Iterator[Case]:
    many = [0x7FFF0000] * 4096
    changes: Mapping[str, dict[str, Any]] = {
        "width 0": {"width": (LONG, 0)},
        "height 0": {"height": (LONG, 0)},
        "2^31 rows": {"height": (LONG, 2**31)},
        "2^32 - 1 rows and columns": {"height": (LONG, GREATEST_LONG), "width": (LONG, GREATEST_LONG)},
        "rows and columns of -1": {"height": (SHORT, 65535), "width": (SHORT, 65535)},
        "65,535 bands": {"samples": (SHORT, 65535)},
        "17 bands": {"samples": (SHORT, 17), "bits": (SHORT, [8] * 17), "planar": (SHORT, 2)},
        "no bands": {"samples": (SHORT, 0)},
        "bits 3": {"bits": (SHORT, 3)},
        "bits 128": {"bits": (SHORT, 128)},
        "bits 65,535": {"bits": (SHORT, 65535)},
        "bits that differ": {"samples": (SHORT, 3), "bits": (SHORT, (8, 16, 32)), "photometric": (SHORT, 2)},
        "rows per strip 0": {"rows_per_strip": (LONG, 0)},
        "rows per strip 2^32 - 1": {"rows_per_strip": (LONG, GREATEST_LONG)},
        "4,096 strips that are not there": {"rows_per_strip": (LONG, 1), "offsets": (LONG, many)},
        "a strip of 2^32 - 1 bytes": {"counts": (LONG, GREATEST_LONG)},
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
        yield f"tif with {name}", tiff(changed(strips(), **change), GREY), True
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
        yield f"tif of noise that says compression {number}", tiff(tags, noise(256)), True
    for rows, cols in ((2**31, 2**31), (2**31, 16), (65536, 65536), (0, 16), (17, 17), (2**20, 2**20)):
        yield f"tif with tiles of {rows} x {cols}", tiff(tiles(side=(rows, cols)), GREY), (rows == 17)
    lined = strips(16, 16, rows_per_strip=(LONG, 1), offsets=(LONG, [300] * 16), counts=(LONG, [16] * 16))
    yield "tif whose strips overlap", tiff(lined, GREY * 2), True
