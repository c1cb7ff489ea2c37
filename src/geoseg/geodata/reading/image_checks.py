"""Check images of strangers by their headers, before anything of them is decoded."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from rasterio._err import CPLE_BaseError  # rasterio publishes no other name for GDAL's own errors
from rasterio.enums import Interleaving
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader

from geoseg.errors import RasterError
from geoseg.geodata.reading.file_parts import check_parts
from geoseg.geodata.reading.grids import IDENTITY
from geoseg.geodata.reading.image_formats import ImageKind, driver_of, sniff, sniff_file
from geoseg.geodata.reading.opening import plain_files_welcome

__all__ = ["ForeignImageError", "ImageHeader", "ImageKind", "ImageTooLargeError", "check_image", "sniff"]

_MOST_BLOCK_BYTES = 256 * 2**20
# Domains of a GeoTIFF's metadata that name other files, which GDAL would open.
_NAMING_DOMAINS = {"OVERVIEWS", "PROXYOVERVIEWREQUEST"}
# Grid files that a CRS asks PROJ for; "null" stands for none.
_GRID_FILES = re.compile(r"grids=(?!@null\b)|PARAMETERFILE", re.IGNORECASE)
_IHDR = struct.Struct(">8sI4sIIBBBBB")


class ForeignImageError(RasterError):
    """A file that is neither GeoTIFF nor PNG nor JPEG."""


class ImageTooLargeError(RasterError):
    """An image with more pixels or bands than are allowed, or that can only be decoded in too large pieces."""


@dataclass(frozen=True)
class ImageHeader:
    """What an image's header says.

    Attributes:
        kind: "tif", "png" or "jpg".
        height: Rows of pixels as they are stored.
        width: Columns of pixels likewise.
        bands: Bands as they are stored, an alpha band among them; a palette counts as one.
        dtype: NumPy name of the type that holds every band.
        crs: Coordinate reference system as WKT; None without one.
        is_georeferenced: Whether the pixels have places: a CRS, or a transform of their own.
    """

    kind: ImageKind
    height: int
    width: int
    bands: int
    dtype: str
    crs: str | None
    is_georeferenced: bool

    @property
    def pixels(self) -> int:
        """Height times width."""
        return self.height * self.width

    @property
    def has_crs(self) -> bool:
        """Whether it has a coordinate reference system."""
        return self.crs is not None


def check_image(path: Path, *, max_pixels: int, max_bands: int) -> ImageHeader:
    """Return what an image's header says if it may be read; nothing is decoded, and no other file is heeded.

    Args:
        path: A file of this machine.
        max_pixels: Most pixels, height times width.
        max_bands: Most bands.

    Raises:
        ForeignImageError: By its first bytes it is neither TIFF nor PNG nor JPEG.
        ImageTooLargeError: More pixels or bands, or blocks of more than 256 MiB.
        RasterError: No such file, damaged, without pixels, complex, or it names other files.
    """
    kind = _kind(path)
    if kind == "png":
        _check_png(path, max_pixels)
    check_parts(path, kind)
    with _opened(path, kind) as dataset:
        _check_size(dataset, path, max_pixels=max_pixels, max_bands=max_bands)
        header = _header(dataset, path, kind)
        _check_block(dataset, path)
        _check_references(dataset, path, header.crs)
    return header


def _kind(path: Path) -> ImageKind:
    try:
        kind = sniff_file(path)
    except OSError as error:
        raise RasterError("the file cannot be read", where=path, got=error.strerror) from error
    if kind is None:
        raise ForeignImageError(
            "the file is neither GeoTIFF nor PNG nor JPEG", where=path, got=f"{path.stat().st_size} bytes"
        )
    return kind


@contextmanager
def _opened(path: Path, kind: ImageKind) -> Iterator[DatasetReader]:
    """Open an image by the driver of its kind, heeding no file beside it; tell all faults of headers as one."""
    alone = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO")
    try:
        with alone, plain_files_welcome(), rasterio.open(path.absolute(), driver=driver_of(kind)) as dataset:
            yield dataset
    except (RasterioError, CPLE_BaseError, OSError, ValueError) as error:
        # ValueError: texts that are not UTF-8, a CRS that is none.
        raise RasterError(
            "the image's header is damaged or cut short", where=path, got=str(error.__cause__ or error)
        ) from error


def _header(dataset: DatasetReader, path: Path, kind: ImageKind) -> ImageHeader:
    if any(np.issubdtype(dtype, np.complexfloating) for dtype in _types(dataset, path)):
        raise RasterError("complex numbers cannot be mapped", where=path, got=dataset.dtypes[0])
    crs = dataset.crs.to_wkt() if dataset.crs else None
    return ImageHeader(
        kind=kind,
        height=dataset.height,
        width=dataset.width,
        bands=dataset.count,
        dtype=str(np.result_type(*dataset.dtypes)),
        crs=crs,
        is_georeferenced=crs is not None or tuple(dataset.transform)[:6] != IDENTITY,
    )


def _types(dataset: DatasetReader, path: Path) -> list[np.dtype[np.generic]]:
    try:
        return [np.dtype(name) for name in dataset.dtypes]
    except TypeError as error:  # complex whole numbers, which NumPy lacks
        raise RasterError(
            "pixels of this type cannot be mapped", where=path, got=dataset.dtypes[0]
        ) from error


def _check_png(path: Path, max_pixels: int) -> None:
    """Check what GDAL does not: the sizes it would call damaged, and interlaced pictures, which it decodes whole."""
    with path.open("rb") as file:
        start = file.read(_IHDR.size)
    if len(start) < _IHDR.size or start[12:16] != b"IHDR":
        raise RasterError("the image's header is damaged or cut short", where=path, got="a PNG without IHDR")
    *_, width, height, depth, _, _, _, interlaced = _IHDR.unpack(start)
    _check_pixels(path, height, width, max_pixels=max_pixels)
    if interlaced:
        _check_piece(path, height * width * 4 * max(1, depth // 8))


def _check_size(dataset: DatasetReader, path: Path, *, max_pixels: int, max_bands: int) -> None:
    _check_pixels(path, dataset.height, dataset.width, max_pixels=max_pixels)
    if dataset.count == 0:
        raise RasterError("the image has no bands", where=path)
    if dataset.count > max_bands:
        raise ImageTooLargeError(
            f"the image has more than {max_bands} bands", where=path, got=f"{dataset.count} bands"
        )


def _check_pixels(path: Path, height: int, width: int, *, max_pixels: int) -> None:
    size = f"{height:,} x {width:,} px"
    if height < 1 or width < 1:
        raise RasterError("the image has no pixels", where=path, got=size)
    if height * width > max_pixels:
        raise ImageTooLargeError(f"the image has more than {max_pixels:,} pixels", where=path, got=size)


def _check_block(dataset: DatasetReader, path: Path) -> None:
    bands = dataset.count if dataset.interleaving is Interleaving.pixel else 1
    for (rows, cols), dtype in zip(dataset.block_shapes, dataset.dtypes, strict=True):
        _check_piece(path, rows * cols * bands * np.dtype(dtype).itemsize)


def _check_piece(path: Path, decoded_bytes: int) -> None:
    if decoded_bytes > _MOST_BLOCK_BYTES:
        raise ImageTooLargeError(
            "the image can only be decoded in pieces that are too large",
            where=path,
            expected=f"at most {_MOST_BLOCK_BYTES:,} bytes",
            got=f"{decoded_bytes:,} bytes",
            hint="Write it with tiles or with strips of a few rows.",
        )


def _check_references(dataset: DatasetReader, path: Path, crs: str | None) -> None:
    naming = [name for name in dataset.tag_namespaces() if name.upper() in _NAMING_DOMAINS]
    if naming or _GRID_FILES.search(crs or ""):
        raise RasterError(
            "the image names other files", where=path, got=", ".join(naming) or "a grid of its CRS"
        )
