"""Invented images, encoded as clients send them."""

from __future__ import annotations

import io
from uuid import uuid4

import numpy as np
from PIL import Image


def _pixels(side: int, seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(30, 220, (-(-side // 16), -(-side // 16), 3), np.uint8)
    return Image.fromarray(coarse.repeat(16, axis=0).repeat(16, axis=1)[:side, :side])


def _encoded(side: int, kind: str, seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    _pixels(side, seed).save(buffer, kind)
    return buffer.getvalue()


def png(side: int, seed: int) -> bytes:
    """Return an image of so many pixels each way as a PNG."""
    return _encoded(side, "PNG", seed)


def jpeg(side: int) -> bytes:
    """Return an image of so many pixels each way as a JPEG."""
    return _encoded(side, "JPEG")


def tiff(side: int) -> bytes:
    """Return an image of so many pixels each way as a TIFF."""
    return _encoded(side, "TIFF")


def form(image: bytes) -> tuple[bytes, str]:
    """Return an upload of an image: the body, and its content type."""
    boundary = uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n'
    return (
        head.encode() + image + f"\r\n--{boundary}--\r\n".encode(),
        f"multipart/form-data; boundary={boundary}",
    )
