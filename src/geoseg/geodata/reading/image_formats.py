"""Detect the image format of a file from its signature."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

ImageKind = Literal["tif", "png", "jpg"]

_ENOUGH = 16
_SIGNATURES: dict[bytes, ImageKind] = {
    b"II*\0": "tif",
    b"MM\0*": "tif",
    b"II+\0\x08\0\0\0": "tif",  # BigTIFF
    b"MM\0+\0\x08\0\0": "tif",
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
}
_DRIVERS: dict[ImageKind, str] = {"tif": "GTiff", "png": "PNG", "jpg": "JPEG"}


def sniff(first_bytes: bytes) -> ImageKind | None:
    """Return the image format from the first bytes of a file (8 or more); None: neither TIFF nor PNG nor JPEG."""
    found = (kind for signature, kind in _SIGNATURES.items() if first_bytes.startswith(signature))
    return next(found, None)


def sniff_file(path: Path) -> ImageKind | None:
    """Return the image format of a file, as :func:`sniff` does.

    Raises:
        OSError: The file cannot be read.
    """
    with path.open("rb") as file:
        return sniff(file.read(_ENOUGH))


def driver_of(kind: ImageKind) -> str:
    """Return the name of the GDAL driver for an image format."""
    return _DRIVERS[kind]
