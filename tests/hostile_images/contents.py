"""What images of several formats have in them, hostile or not."""

from __future__ import annotations

import math

import numpy as np
from tests.hostile_images.tiff_writing import ASCII, DOUBLE, GREATEST_LONG, LONG, SHORT, tiff

GREY = bytes(range(256))
VRT = (
    '<VRTDataset rasterXSize="16" rasterYSize="16"><VRTRasterBand dataType="Byte" band="1"><SimpleSource>'
    '<SourceFilename relativeToVRT="0">/etc/passwd</SourceFilename><SourceBand>1</SourceBand>'
    "</SimpleSource></VRTRasterBand></VRTDataset>"
)
EXIFS = {
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
    "with a place that is no IFD": tiff({34853: (LONG, GREATEST_LONG)}),
    "in Latin-1": tiff({271: (ASCII, b"K\xf6ln\0"), 274: (SHORT, 6)}),
    "of a fraction over 0": tiff({274: (5, bytes(8))}),
}


def noise(size: int) -> bytes:
    return np.random.default_rng(0).integers(0, 256, size, np.uint8).tobytes()
