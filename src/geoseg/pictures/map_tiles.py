"""Draw tiles of a web map: pixels with a stretch, classes, and confidence."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

# Tiles travel within one machine: time matters more than bytes.
_COMPRESSION = 1
_OPAQUE = 255


def image_tile(
    pixels: NDArray[np.float32], valid: NDArray[np.bool_], limits: Sequence[tuple[float, float]]
) -> bytes:
    """Return an RGBA PNG of three bands, or of one in grey; invalid pixels are transparent.

    Args:
        pixels: (1 or 3, H, W).
        valid: (H, W).
        limits: The values of each band that are shown as black and as full colour.
    """
    shown = np.zeros((*valid.shape, 4), np.uint8)
    for position, (band, (low, high)) in enumerate(zip(pixels, limits, strict=True)):
        scale = np.float32(255 / (high - low if high > low else 1))
        stretched = np.clip((band - np.float32(low)) * scale, 0, 255).astype(np.uint8)
        shown[..., slice(0, 3) if len(pixels) == 1 else position] = (
            stretched[..., None] if len(pixels) == 1 else stretched
        )
    shown[..., 3] = np.where(valid, np.uint8(_OPAQUE), np.uint8(0))
    return _png(Image.fromarray(shown))


def class_tile(class_ids: NDArray[np.uint8], rgb: NDArray[np.uint8]) -> bytes:
    """Return a palette PNG of class ids (H, W) in colours (C, 3); other ids are transparent."""
    table = np.zeros((256, 3), np.uint8)
    table[: len(rgb)] = rgb
    picture = Image.fromarray(class_ids)
    picture.putpalette(table.tobytes())
    return _png(picture, transparency=bytes([_OPAQUE] * len(rgb) + [0] * (256 - len(rgb))))


def confidence_tile(confidence: NDArray[np.float32], valid: NDArray[np.bool_]) -> bytes:
    """Return an RGBA PNG of confidence (H, W) from 0, dark, to 1, in the colours of viridis."""
    steps = np.clip(np.rint(confidence * _OPAQUE), 0, _OPAQUE).astype(np.uint8)
    shown = np.zeros((*valid.shape, 4), np.uint8)
    shown[..., :3] = _viridis()[steps]
    shown[..., 3] = np.where(valid, np.uint8(_OPAQUE), np.uint8(0))
    return _png(Image.fromarray(shown))


@cache
def _viridis() -> NDArray[np.uint8]:
    from matplotlib import colormaps

    table = np.asarray(colormaps["viridis"](np.arange(256)))[:, :3]
    found: NDArray[np.uint8] = np.rint(table * _OPAQUE).astype(np.uint8)
    return found


def _png(picture: Image.Image, **options: bytes) -> bytes:
    file = io.BytesIO()
    picture.save(file, "PNG", compress_level=_COMPRESSION, **options)
    return file.getvalue()
