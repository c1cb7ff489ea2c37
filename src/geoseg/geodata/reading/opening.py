"""Open an image file as an upright dataset, and raise file errors as RasterError."""

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

# GDAL's fast path for PNG, also in a VRT, does not detect truncated pixels and returns uninitialised memory.
# Rows are checked only if a PNG is both opened and read with this option.
_CHECKED = {"GDAL_PNG_WHOLE_IMAGE_OPTIM": "NO"}
# Do not request a folder listing from the server to look for sidecars.
_REMOTE = {**_CHECKED, "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}

GROUND_CONTROL_POINTS, RPCS, GEOLOCATION_ARRAY = "ground control points", "RPCs", "a geolocation array"
_MAX_ROTATED_BYTES = 2 * 2**30
_EXIF_ORIENTATION = (0x0112, 3, 1)  # tag, type, count
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_WARNINGS_LOCK = threading.Lock()

# Operations that turn stored pixels (..., H, W) upright, by EXIF orientation (CIPA DC-008).
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
def ignore_missing_georeference() -> Iterator[None]:
    """Suppress rasterio's warning about files without a georeference, which are supported."""
    with _WARNINGS_LOCK, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        yield


@contextmanager
def open_upright(path: Path) -> Iterator[DatasetReader]:
    """Open a raster; rotate a picture without a georeference by its EXIF orientation.

    Raises:
        RasterError: The file does not exist, is not an image, is damaged or truncated, or has no bands or complex
            values; or the picture is too large to be rotated.
    """
    with ExitStack() as stack:
        dataset = stack.enter_context(opened(path))
        _check_bands(dataset, path)
        orientation = _orientation(dataset, path)
        if orientation in _UPRIGHT:
            _check_rotatable(dataset, path)
            memory = stack.enter_context(MemoryFile())
            _write_upright(dataset, path, memory, orientation=orientation)
            with ignore_missing_georeference():
                dataset = stack.enter_context(memory.open())
        yield dataset


def describe(dataset: DatasetReader, path: Path) -> RasterInfo:
    """Return a description of an open dataset. Stored bands count, except an alpha band."""
    numbers = (*dataset.transform, dataset.transform.determinant)
    if not all(map(math.isfinite, numbers)) or dataset.transform.determinant == 0:
        raise RasterError(
            "the geotransform is not invertible",
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
        georeferenced_by=_georeferencing(dataset),
    )
    try:
        return with_resolution(info)
    except CRSError as error:
        raise RasterError("the coordinate reference system cannot be used", where=path, got=error) from error


def _georeferencing(dataset: DatasetReader) -> str | None:
    """Return the kind of georeference of a raster without a geotransform, or None."""
    if tuple(dataset.transform)[:6] != IDENTITY:
        return None
    if dataset.gcps[0]:
        return GROUND_CONTROL_POINTS
    namespaces = {"RPC": RPCS, "GEOLOCATION": GEOLOCATION_ARRAY}
    return next((what for name, what in namespaces.items() if dataset.tags(ns=name)), None)


def check_georeferenced(info: RasterInfo) -> None:
    """Check that a raster with a georeference has a geotransform.

    Raises:
        RasterError: It is georeferenced only by ground control points, RPCs or a geolocation array.
    """
    if info.georeferenced_by is not None:
        raise RasterError(
            f"the raster is georeferenced by {info.georeferenced_by} only and must be warped",
            where=info.path,
            expected="a raster with a CRS and a geotransform",
            hint=warp_hint(info),
        )


def warp_hint(info: RasterInfo) -> str:
    """Return the gdalwarp command for a raster without a geotransform."""
    option = {RPCS: " -rpc", GEOLOCATION_ARRAY: " -geoloc"}.get(info.georeferenced_by or "", "")
    name = info.path.name
    return f"Warp it first: gdalwarp{option} -t_srs EPSG:<code> {name} {info.path.stem}_warped.tif"


def read_bands(
    dataset: DatasetReader, path: Path, *, bands: list[int], window: Window
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Read stored values and their validity per band, both (B, h, w).

    Bands of different types are converted to their common type. A value is invalid where the mask of the dataset
    (internal mask, alpha) or of the band is 0, and where it equals the nodata value. A requested alpha band is data,
    not a mask.

    Args:
        dataset: The open dataset.
        path: Its file, for the error.
        bands: 1-based.
        window: A window inside the raster.

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
    every = dataset.nodatavals
    for band, stored, own in zip(bands, values, has_value, strict=True):
        nodata = every[band - 1]
        if nodata is not None and math.isnan(nodata):
            own &= ~np.isnan(stored)
        elif nodata is not None:
            with np.errstate(over="ignore"):
                own &= stored != nodata
    return values, has_value


def _read_in_one_type(dataset: DatasetReader, bands: list[int], box: RasterioWindow) -> NDArray[Any]:
    types = [dataset.dtypes[band - 1] for band in bands]
    if len(set(types)) == 1:
        values: NDArray[Any] = dataset.read(bands, window=box)
        return values
    # QGIS stacks bands of different types in a VRT. rasterio reads several bands together only if their types are equal.
    common = np.result_type(*types)
    return np.stack([dataset.read(band, window=box).astype(common) for band in bands])


def _masked_bands(dataset: DatasetReader, bands: list[int]) -> dict[int, bool]:
    """Return the bands with masks other than alpha, and whether all bands share the mask."""
    # Each access to the attribute looks at all bands.
    every = dataset.mask_flag_enums
    flags = {band: {flag.name for flag in every[band - 1]} for band in bands}
    shared = [band for band, names in flags.items() if "per_dataset" in names and "alpha" not in names][:1]
    # With an alpha band rasterio warns that it hides the nodata value; read_bands applies both.
    nodata, types = dataset.nodatavals, dataset.dtypes
    known = {"all_valid", "per_dataset"} | ({"nodata"} if ColorInterp.alpha in dataset.colorinterp else set())
    own = [
        band
        for band, names in flags.items()
        if not names & known
        and not (names == {"nodata"} and _is_exact(nodata[band - 1], np.dtype(types[band - 1])))
    ]
    return dict.fromkeys(shared, True) | dict.fromkeys(own, False)


def _is_exact(nodata: float | None, dtype: np.dtype[Any]) -> bool:
    """Return whether a comparison with the nodata value gives the mask, which saves a second reading of the band.

    GDAL compares floating-point numbers with a tolerance.
    """
    if nodata is None:
        return False
    return math.isnan(nodata) or (dtype.kind in "iu" and float(nodata).is_integer())


def _alpha_bands(dataset: DatasetReader, bands: list[int]) -> list[int]:
    """Return the alpha bands, unless one is requested as data.

    GDAL uses them as a mask only in integer rasters with two or four bands and without a nodata value.
    """
    alphas = [band for band in dataset.indexes if dataset.colorinterp[band - 1] is ColorInterp.alpha]
    return [] if set(alphas) & set(bands) else alphas


@contextmanager
def opened(path: Path) -> Iterator[DatasetReader]:
    """Open a raster without rotation.

    Raises:
        RasterError: The file does not exist, is not an image, or is damaged or truncated.
    """
    url = remote_url(path)
    if url is None and not path.exists():
        raise RasterError("no such file", where=path, hint="Check the path.")
    if path.is_dir():
        raise RasterError("this is a folder", where=path, expected="a raster file")
    try:
        # Choose the driver by the signature: GDAL would open a JPEG with a VRT in its comment as that VRT.
        kind = None if url else sniff_file(path)
        with ignore_missing_georeference(), rasterio.Env(**(_REMOTE if url else _CHECKED)):
            dataset = rasterio.open(
                f"/vsicurl/{url}" if url else path, driver=driver_of(kind) if kind else None
            )
    except (RasterioError, CPLE_BaseError, OSError) as error:
        raise _not_opened(path, error) from error
    with dataset:
        yield dataset


def remote_url(path: Path) -> str | None:
    """Return the URL of a raster that is read over HTTP in ranges, or None for a local file."""
    found = re.fullmatch(r"(https?):/{1,2}([^/].*)", str(path))
    return f"{found[1]}://{found[2]}" if found else None


def _not_opened(path: Path, error: Exception) -> RasterError:
    if "not recognized" not in str(error):
        return _damaged(path, error)
    return RasterError(
        "this file is not a readable image",
        where=path,
        expected="a GeoTIFF, PNG, JPEG or another raster that GDAL reads",
        got="another format" if remote_url(path) else f"{path.stat().st_size} bytes of another format",
    )


def _damaged(path: Path, error: Exception, window: Window | None = None) -> RasterError:
    place = ""
    if window is not None:
        rows, cols = f"{window.row} to {window.row + window.height - 1}", window.col + window.width - 1
        place = f" in rows {rows}, columns {window.col} to {cols}"
    if remote_url(path):
        what, hint = "the file cannot be read completely over the network", "Repeat the command to resume."
    else:
        what, hint = "the file is damaged or truncated", "Copy or download it again."
    return RasterError(
        what + place, where=path, expected="a complete image", got=str(error.__cause__ or error), hint=hint
    )


def _check_bands(dataset: DatasetReader, path: Path) -> None:
    if dataset.count == 0:
        raise RasterError(
            "the raster has no bands",
            where=path,
            expected="at least one band",
            got=f"a container of {len(dataset.subdatasets)} rasters",
            hint="Extract one of them, for example with gdal_translate.",
        )
    if any(dtype.startswith("complex") for dtype in dataset.dtypes):
        raise RasterError(
            "complex pixel values are not supported",
            where=path,
            expected="integers or floating-point numbers",
            got=dataset.dtypes[0],
            hint="Write amplitude or intensity to a separate raster.",
        )


def _orientation(dataset: DatasetReader, path: Path) -> int:
    """Return the EXIF orientation, 1..8; 1 (no rotation) if none can be read."""
    png_orientation = _png_orientation(path) if dataset.driver == "PNG" else None
    if dataset.crs is not None or tuple(dataset.transform)[:6] != IDENTITY:
        return 1  # a world file refers to the stored pixels
    if png_orientation is not None:
        return png_orientation
    tag = str(dataset.tags().get("EXIF_Orientation", "1"))
    with suppress(CPLE_BaseError):
        # rasterio raises an error for damaged EXIF data at the next call. Ignore it: the pixels are not affected.
        _ = dataset.colorinterp
    return int(tag) if re.fullmatch("[1-8]", tag) else 1


def _png_orientation(path: Path) -> int | None:
    """Return the EXIF orientation of a PNG, and check that its chunks are complete, which GDAL does not.

    Raises:
        RasterError: The file ends before its IEND chunk.
    """
    orientation = None
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(len(_PNG_SIGNATURE))
        while header := file.read(8):
            length, kind = struct.unpack(">I4s", header.ljust(8, b"\0"))
            if file.tell() + length + 4 > size:
                break
            if kind == b"IEND":
                return orientation
            if kind == b"eXIf":
                orientation = _exif_orientation(file.read(length))
                file.seek(-length, 1)
            file.seek(length + 4, 1)
    raise _damaged(path, EOFError(f"{size} bytes without the end of the picture"))


def _exif_orientation(exif: bytes) -> int:
    """Return the orientation in the first directory of EXIF data (TIFF format); 1 if none can be read."""
    order = "<" if exif.startswith(b"II") else ">"
    try:
        (start,) = struct.unpack_from(order + "I", exif, 4)
        (count,) = struct.unpack_from(order + "H", exif, start)
        entries = [struct.unpack_from(order + "HHIH", exif, start + 2 + 12 * n) for n in range(count)]
    except struct.error:
        return 1
    return next((value for *field, value in entries if tuple(field) == _EXIF_ORIENTATION), 1)


def _check_rotatable(dataset: DatasetReader, path: Path) -> None:
    """Check that a picture fits in memory, because it is rotated as a whole."""
    size = dataset.height * dataset.width * sum(np.dtype(dtype).itemsize for dtype in dataset.dtypes)
    if size > _MAX_ROTATED_BYTES:
        raise RasterError(
            "the picture is too large to be rotated",
            where=path,
            expected=f"at most {_MAX_ROTATED_BYTES:,} bytes",
            got=f"{size:,} bytes",
            hint="Rotate it with another program, and remove its EXIF orientation.",
        )


def _write_upright(dataset: DatasetReader, path: Path, memory: MemoryFile, *, orientation: int) -> None:
    whole = Window(0, 0, dataset.height, dataset.width)
    values, _ = read_bands(dataset, path, bands=list(dataset.indexes), window=whole)
    upright = _UPRIGHT[orientation](values)
    with ignore_missing_georeference():
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
