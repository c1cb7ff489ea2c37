"""TIFFs whose mask has another size than they have."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile_images.case import Case
from tests.hostile_images.contents import GREY
from tests.hostile_images.tiff_writing import LONG, SHORT, strips, tiff


def odd_masks() -> Iterator[Case]:
    yield "tif with a mask of 60,000 x 60,000", _with_mask(60_000, 60_000), True
    yield "tif with a mask of 1 x 1", _with_mask(1, 1), True


def _with_mask(height: int, width: int) -> bytes:
    mask = strips(
        height, width, subfile=(LONG, 4), photometric=(SHORT, 4), offsets=(LONG, 0), counts=(LONG, 0)
    )
    first = tiff(strips(), GREY)
    return tiff(strips(), GREY + tiff(mask)[8:], following=len(first))
