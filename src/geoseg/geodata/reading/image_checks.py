"""Check the headers of uploaded images before decoding."""

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
from geoseg.geodata.reading.opening import ignore_missing_georeference

__all__ = ["ForeignImageError", "ImageHeader", "ImageKind", "ImageTooLargeError", "check_image", "sniff"]

_MAX_BLOCK_BYTES = 256 * 2**20
# Metadata domains of a GeoTIFF that refer to other files, which GDAL would open.
_NAMING_DOMAINS = {"OVERVIEWS", "PROXYOVERVIEWREQUEST"}
# PROJ grid files in a CRS; "null" means none.
_GRID_FILES = re.compile(r"grids=(?!@null\b)|PARAMETERFILE", re.IGNORECASE)
_IHDR = struct.Struct(">8sI4sIIBBBBB")


class ForeignImageError(RasterError):
    """A file that is neither GeoTIFF nor PNG nor JPEG."""


class ImageTooLargeError(RasterError):
    """An image with too many pixels or bands, or with too large blocks."""


@dataclass(frozen=True)
class ImageHeader:
    """Content of an image header.

    Attributes:
        kind: "tif", "png" or "jpg".
        height: Rows of stored pixels.
        width: Columns of stored pixels.
        bands: Stored bands, including an alpha band; a palette counts as one.
        dtype: NumPy name of the common type of all bands.
        crs: Coordinate reference system as WKT; None without one.
        is_georeferenced: Whether the image has a CRS or a geotransform.
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
    """Check an image and return its header. Pixels are not decoded, and no other file is read.

    Args:
        path: A local file.
        max_pixels: Maximum height times width.
        max_bands: Maximum number of bands.

    Raises:
        ForeignImageError: The signature is neither TIFF nor PNG nor JPEG.
        ImageTooLargeError: The image has more pixels or bands, or blocks of more than 256 MiB.
        RasterError: The file does not exist, is damaged, has no pixels or complex ones, or refers to other files.
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
    """Open an image with the driver of its format, without sidecar files. Raise all header errors as RasterError."""
    alone = rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR", GDAL_PAM_ENABLED="NO")
    try:
        with (
            alone,
            ignore_missing_georeference(),
            rasterio.open(path.absolute(), driver=driver_of(kind)) as dataset,
        ):
            yield dataset
    except (RasterioError, CPLE_BaseError, OSError, ValueError) as error:
        # ValueError: text that is not UTF-8, or an invalid CRS.
        raise RasterError(
            "the image header is damaged or truncated", where=path, got=str(error.__cause__ or error)
        ) from error


def _header(dataset: DatasetReader, path: Path, kind: ImageKind) -> ImageHeader:
    if any(np.issubdtype(dtype, np.complexfloating) for dtype in _types(dataset, path)):
        raise RasterError("complex pixel values are not supported", where=path, got=dataset.dtypes[0])
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
    except TypeError as error:  # complex integers, which NumPy lacks
        raise RasterError("this pixel type is not supported", where=path, got=dataset.dtypes[0]) from error


def _check_png(path: Path, max_pixels: int) -> None:
    """Check PNG sizes that GDAL would report as damage, and interlaced images, which GDAL decodes as a whole."""
    with path.open("rb") as file:
        start = file.read(_IHDR.size)
    if len(start) < _IHDR.size or start[12:16] != b"IHDR":
        raise RasterError("the image header is damaged or truncated", where=path, got="a PNG without IHDR")
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
    if decoded_bytes > _MAX_BLOCK_BYTES:
        raise ImageTooLargeError(
            "the blocks of the image are too large",
            where=path,
            expected=f"at most {_MAX_BLOCK_BYTES:,} bytes",
            got=f"{decoded_bytes:,} bytes",
            hint="Write the image with tiles or with strips of a few rows.",
        )


def _check_references(dataset: DatasetReader, path: Path, crs: str | None) -> None:
    naming = [name for name in dataset.tag_namespaces() if name.upper() in _NAMING_DOMAINS]
    if naming or _GRID_FILES.search(crs or ""):
        raise RasterError(
            "the image refers to other files", where=path, got=", ".join(naming) or "a grid file of its CRS"
        )
