"""Open an image file as a dataset, upright, with the faults of files told as such."""

from __future__ import annotations

import math
import re
import struct
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio._err import CPLE_BaseError  # rasterio publishes no other name for GDAL's own errors
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError, NotGeoreferencedWarning, RasterioError
from rasterio.io import DatasetReader, MemoryFile
from rasterio.windows import Window as RasterioWindow

from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.grids import IDENTITY, RasterInfo, with_resolution
from geoseg.geodata.reading.image_formats import driver_of, sniff_file

# GDAL's fast path for PNGs, in a VRT too, misses pixels that end early, and returns whatever was in memory.
# Each row is checked only if a PNG is both opened and read with this option.
_CHECKED = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
# A server need not list the folder of a remote file to look for sidecars.
_REMOTE = {**_CHECKED, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}

GROUND_CONTROL_POINTS, RPCS, GEOLOCATION_ARRAY = "ground control points", "RPCs", "a geolocation array"
_MOST_TURNED_BYTES = 2 * 2**30
_EXIF_ORIENTATION = (0x0112, 3, 1)  # tag, type, count
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WARNINGS_LOCK = threading.Lock()

# What turns stored pixels (..., H, W) upright, by the EXIF orientation of the camera (CIPA DC-008).
_UPRIGHT: dict[int, Callable[[NDArray[Any]], NDArray[Any]]] = {
    2: lambda a: a[..., :, ::-1],
    3: lambda a: a[..., ::-1, ::-1],
    4: lambda a: a[..., ::-1, :],
    5: lambda a: np.swapaxes(a, -1, -2),
    6: lambda a: np.rot90(a, -1, axes=(-2, -1)),
    7: lambda a: np.swapaxes(a, -1, -2)[..., ::-1, ::-1],
    8: lambda a: np.rot90(a, 1, axes=(-2, -1)),
}


@contextmanager
def plain_files_welcome() -> Iterator[None]:
    """Keep rasterio from warning that a file has no georeference: pictures without one are welcome."""
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def open_upright(path: Path) -> Iterator[DatasetReader]:
    """Open a raster; a picture without a georeference is turned the way its EXIF orientation says.

    Raises:
        RasterError: No such file, not an image, damaged or truncated, without bands, or complex;
            too large to be turned.
    """
    with ExitStack() as stack:
        dataset = stack.enter_context(opened(path))
        _check_bands(dataset, path)
        orientation = _orientation(dataset, path)
        if orientation in _UPRIGHT:
            _check_turned(dataset, path)
            memory = stack.enter_context(MemoryFile())
            _write_upright(dataset, path, memory, orientation=orientation)
            with plain_files_welcome():
                dataset = stack.enter_context(memory.open())
        yield dataset


def describe(dataset: DatasetReader, path: Path) -> RasterInfo:
    """Return what an open dataset is; its bands as they are stored, but for an alpha band."""
    numbers = (*dataset.transform, dataset.transform.determinant)
    if not all(map(math.isfinite, numbers)) or dataset.transform.determinant == 0:
        raise RasterError(
            "the pixels have no size or no place",
            where=path,
            expected="an invertible transform",
            got=dataset.transform,
        )
    info = RasterInfo(
        path=path,
        height=dataset.height,
        width=dataset.width,
        bands=sum(c is not ColorInterp.alpha for c in dataset.colorinterp),
        dtype=str(np.result_type(*dataset.dtypes)),
        crs=dataset.crs.to_wkt() if dataset.crs else None,
        transform=tuple(dataset.transform)[:6],
        resolution_m=None,
        nodata=dataset.nodata,
        placed_by=_placed_by(dataset),
    )
    try:
        return with_resolution(info)
    except CRSError as error:
        raise RasterError("the coordinate reference system cannot be used", where=path, got=error) from error


def _placed_by(dataset: DatasetReader) -> str | None:
    """Return what places the pixels of a raster that has no transform, if anything does."""
    if tuple(dataset.transform)[:6] != IDENTITY:
        return None
    if dataset.gcps[0]:
        return GROUND_CONTROL_POINTS
    namespaces = {"RPC": RPCS, "GEOLOCATION": GEOLOCATION_ARRAY}
    return next((what for name, what in namespaces.items() if dataset.tags(ns=name)), None)


def check_placed(info: RasterInfo) -> None:
    """Refuse a raster that has a place on the ground, but no grid there.

    Raises:
        RasterError: Ground control points, RPCs or a geolocation array alone place it.
    """
    if info.placed_by is not None:
        raise RasterError(
            f"the raster is placed by {info.placed_by} only, so its pixels form no grid on the ground",
            where=info.path,
            expected="a raster with a CRS and a geotransform",
            hint=how_to_warp(info),
        )


def how_to_warp(info: RasterInfo) -> str:
    """Return the command that lays a raster without a geotransform on a grid."""
    option = {RPCS: " -rpc", GEOLOCATION_ARRAY: " -geoloc"}.get(info.placed_by or "", "")
    name = info.path.name
    return f"Warp it first: gdalwarp{option} -t_srs EPSG:<code> {name} {info.path.stem}_warped.tif"


def read_bands(
    dataset: DatasetReader, path: Path, *, bands: list[int], window: Window
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read stored values and where each band has one, both (B, h, w).

    Bands of different types are read in the type that holds them all. A band has no value where the dataset's mask
    (internal mask, alpha) or the band's own says so, and where it holds its nodata value. A band that is alpha and
    chosen itself is data, not a mask.

    Args:
        dataset: The open dataset.
        path: Its file, for the error.
        bands: 1-based.
        window: Inside the raster.

    Raises:
        RasterError: The file is damaged.
    """
    box = RasterioWindow(window.col, window.row, window.width, window.height)
    try:
        with rasterio.Env(**_CHECKED):
            values = _read_in_one_type(dataset, bands, box)
            has_value = np.ones(values.shape, np.bool_)
            for band, shared in _masked_bands(dataset, bands).items():
                masked = has_value if shared else has_value[bands.index(band)]
                masked &= dataset.read_masks(band, window=box) > 0
            for band in _alpha_bands(dataset, bands):
                has_value &= dataset.read(band, window=box) > 0
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise _damaged(path, error, window) from error
    for band, stored, own in zip(bands, values, has_value, strict=True):
        nodata = dataset.nodatavals[band - 1]
        if nodata is not None:
            with np.errstate(over="ignore"):
                own &= stored != nodata
    return values, has_value


def _read_in_one_type(dataset: DatasetReader, bands: list[int], box: RasterioWindow) -> NDArray[Any]:
    types = [dataset.dtypes[band - 1] for band in bands]
    if len(set(types)) == 1:
        values: NDArray[Any] = dataset.read(bands, window=box)
        return values
    # As QGIS stacks bands of several files. rasterio reads only bands of one type together.
    common = np.result_type(*types)
    return np.stack([dataset.read(band, window=box).astype(common) for band in bands])


def _masked_bands(dataset: DatasetReader, bands: list[int]) -> dict[int, bool]:
    """Return the bands whose masks say more than alpha does, and whether all bands share that mask."""
    flags = {band: {flag.name for flag in dataset.mask_flag_enums[band - 1]} for band in bands}
    shared = [band for band, names in flags.items() if "per_dataset" in names and "alpha" not in names][:1]
    # Beside an alpha band rasterio would warn that it hides the nodata value; read_bands applies both.
    known = {"all_valid", "per_dataset"} | ({"nodata"} if ColorInterp.alpha in dataset.colorinterp else set())
    own = [band for band, names in flags.items() if not names & known]
    return dict.fromkeys(shared, True) | dict.fromkeys(own, False)


def _alpha_bands(dataset: DatasetReader, bands: list[int]) -> list[int]:
    """Return the alpha bands, unless one is chosen itself.

    GDAL makes a mask of them only in rasters of two or four bands of whole numbers without a nodata value.
    """
    alphas = [band for band in dataset.indexes if dataset.colorinterp[band - 1] is ColorInterp.alpha]
    return [] if set(alphas) & set(bands) else alphas


@contextmanager
def opened(path: Path) -> Iterator[DatasetReader]:
    """Open a raster as it is stored.

    Raises:
        RasterError: No such file, not an image, damaged or truncated.
    """
    url = remote_url(path)
    if url is None and not path.exists():
        raise RasterError("no such file", where=path, hint="Check the path.")
    if path.is_dir():
        raise RasterError("this is a folder", where=path, expected="a raster file")
    try:
        # By the driver of its first bytes: a JPEG whose comment is a VRT would be opened as that VRT.
        kind = None if url else sniff_file(path)
        with plain_files_welcome(), rasterio.Env(**(_REMOTE if url else _CHECKED)):
            dataset = rasterio.open(
                f"/vsicurl/{url}" if url else path, driver=driver_of(kind) if kind else None
            )
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise _not_opened(path, error) from error
    with dataset:
        yield dataset


def remote_url(path: Path) -> str | None:
    """Return the address of a raster that is read over HTTP by ranges, or None for a file of this machine."""
    found = re.fullmatch(r"(https?):/{1,2}([^/].*)", str(path))
    return f"{found[1]}://{found[2]}" if found else None


def _not_opened(path: Path, error: Exception) -> RasterError:
    if "not recognized" not in str(error):
        return _damaged(path, error)
    return RasterError(
        "this is not an image that can be read",
        where=path,
        expected="a GeoTIFF, PNG, JPEG or another raster that GDAL reads",
        got="something else" if remote_url(path) else f"{path.stat().st_size} bytes of something else",
    )


def _damaged(path: Path, error: Exception, window: Window | None = None) -> RasterError:
    place = ""
    if window is not None:
        rows, cols = f"{window.row} to {window.row + window.height - 1}", window.col + window.width - 1
        place = f" in rows {rows}, columns {window.col} to {cols}"
    if remote_url(path):
        what, hint = "the file does not come whole over the network", "Repeat the command to go on."
    else:
        what, hint = "the file is damaged or cut short", "Copy or download it again."
    return RasterError(
        what + place, where=path, expected="a whole image", got=str(error.__cause__ or error), hint=hint
    )


def _check_bands(dataset: DatasetReader, path: Path) -> None:
    if dataset.count == 0:
        raise RasterError(
            "the raster has no bands",
            where=path,
            expected="at least one band",
            got=f"a container of {len(dataset.subdatasets)} rasters",
            hint="Extract one of them, for instance with gdal_translate.",
        )
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise RasterError(
            "complex numbers cannot be mapped",
            where=path,
            expected="whole or floating-point numbers",
            got=dataset.dtypes[0],
            hint="Write amplitude or intensity to a raster of its own.",
        )


def _orientation(dataset: DatasetReader, path: Path) -> int:
    """Return the EXIF orientation, 1..8; 1, as the pixels are stored, where none can be read."""
    told = _png_orientation(path) if dataset.driver == "PNG" else None
    if dataset.crs is not None or tuple(dataset.transform)[:6] != IDENTITY:
        return 1  # a world file speaks of the pixels as they are stored
    if told is not None:
        return told
    tag = str(dataset.tags().get("EXIF_Orientation", "1"))
    with suppress(CPLE_BaseError):
        # Of damaged EXIF data, of which the pixels know nothing, rasterio tells at its next call: this one.
        _ = dataset.colorinterp
    return int(tag) if re.fullmatch("[1-8]", tag) else 1


def _png_orientation(path: Path) -> int | None:
    """Walk through a PNG's chunks to its end, which GDAL does not, and return the orientation that EXIF data tells.

    Raises:
        RasterError: The file stops before its IEND chunk.
    """
    told = None
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(len(_PNG_SIGNATURE))
        while header := file.read(8):
            length, kind = struct.unpack(">I4s", header.ljust(8, b"\0"))
            if file.tell() + length + 4 > size:
                break
            if kind == b"IEND":
                return told
            if kind == b"eXIf":
                told = _exif_orientation(file.read(length))
                file.seek(-length, 1)
            file.seek(length + 4, 1)
    raise _damaged(path, EOFError(f"{size} bytes without the end of the picture"))


def _exif_orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of EXIF data, a TIFF; 1 where there is none that can be read."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        entries = [struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * n) for n in range(count)]
    except struct.error:
        return 1
    return next((value for *field, value in entries if tuple(field) == _EXIF_ORIENTATION), 1)


def _check_turned(dataset: DatasetReader, path: Path) -> None:
    """Refuse what does not fit in memory: a picture is turned whole."""
    size = dataset.height * dataset.width * sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    if size > _MOST_TURNED_BYTES:
        raise RasterError(
            "the picture is too large to be turned upright",
            where=path,
            expected=f"at most {_MOST_TURNED_BYTES:,} bytes",
            got=f"{size:,} bytes",
            hint="Turn it first, and remove its EXIF orientation.",
        )


def _write_upright(dataset: DatasetReader, path: Path, memory: MemoryFile, *, orientation: int) -> None:
    whole = Window(0, 0, dataset.height, dataset.width)
    values, _ = read_bands(dataset, path, bands=list(dataset.indexes), window=whole)
    upright = _UPRIGHT[orientation](values)
    with plain_files_welcome():
        target = memory.open(
            driver="GTiff",
            count=upright.shape[0],
            height=upright.shape[1],
            width=upright.shape[2],
            dtype=upright.dtype,
            nodata=dataset.nodata,
            photometric="PALETTE" if dataset.colorinterp[0] is ColorInterp.palette else "MINISBLACK",
        )
    with target:
        target.write(upright)
        target.colorinterp = dataset.colorinterp
        if dataset.colorinterp[0] is ColorInterp.palette:
            target.write_colormap(1, dataset.colormap(1))
