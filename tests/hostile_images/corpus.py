"""Images as strangers send them: cut short, corrupted field by field, bombs, and other formats in disguise."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile_images.bombs import bombs
from tests.hostile_images.case import Case
from tests.hostile_images.disguises import disguises
from tests.hostile_images.fair import fair_images
from tests.hostile_images.jpegs import jpegs
from tests.hostile_images.pngs import pngs
from tests.hostile_images.tiff_masks import odd_masks
from tests.hostile_images.tiff_pixels import odd_pixels
from tests.hostile_images.tiff_places import odd_places
from tests.hostile_images.tiff_structures import odd_structures
from tests.hostile_images.tiff_texts import odd_texts


def hostile_images() -> Iterator[Case]:
    """Yield the whole corpus, always the same, names unique."""
    yield from odd_structures()
    yield from odd_pixels()
    yield from odd_places()
    yield from odd_texts()
    yield from odd_masks()
    yield from pngs()
    yield from jpegs()
    yield from bombs()
    yield from disguises()
    yield from fair_images()
