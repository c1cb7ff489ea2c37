"""Write uint8 bands block by block, and finish them as a Cloud Optimized GeoTIFF."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.io import DatasetReader, DatasetWriter
from rasterio.windows import Window as RasterioWindow

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window, grid
from geoseg.errors import RasterError
from geoseg.geodata.outputs.atomic_files import whole_file
from geoseg.geodata.outputs.file_kinds import RESULT_TAG, FileKind
from geoseg.geodata.reading.grids import IDENTITY, RasterInfo
from geoseg.geodata.reading.opening import ignore_missing_georeference

_BLOCK_PX = 512
_SMALLEST_BLOCK_PX = 128
_NO_SHEAR = 1e-9


@dataclass(frozen=True)
class BandStyle:
    """Raster properties that differ between class maps and confidence rasters.

    Attributes:
        kind: What the file is.
        descriptions: Names of the bands.
        overviews: GDAL's resampling of the overviews, "MODE" or "AVERAGE".
        tags: Dataset tags.
        scale: What a stored value is multiplied with to get its meaning.
        colors: Colour table: red, green, blue, alpha by value.
        sidecar: Text of the ``.aux.xml``.
    """

    kind: FileKind
    descriptions: tuple[str, ...]
    overviews: str
    tags: Mapping[str, str]
    scale: float = 1.0
    colors: Mapping[int, tuple[int, int, int, int]] | None = None
    sidecar: str | None = None


class BandWriter:
    """Writes blocks of all bands in any order; unwritten pixels are nodata (255)."""

    def __init__(self, dataset: DatasetWriter) -> None:
        self._dataset = dataset
        self._sums = Counter[tuple[int, int]]()

    def write(self, window: Window, values: NDArray[np.uint8]) -> None:
        """Write values (h, w) or (bands, h, w) at ``window``; pixels outside the raster are ignored.

        Every pixel is written once at most, so that the values of a block can be summed for ``check``.

        Raises:
            ValueError: The values are not as large as the window.
        """
        values = values if values.ndim == 3 else values[None]
        if values.shape != (self._dataset.count, window.height, window.width):
            raise ValueError(f"values {values.shape} do not fit window {window}")
        part = window.clipped(self._dataset.height, self._dataset.width)
        if not part.height or not part.width:
            return
        top, left = part.row - window.row, part.col - window.col
        inside = values[:, top : top + part.height, left : left + part.width]
        self._dataset.write(inside.astype(np.uint8, copy=False), window=_box(part))
        self._sums.update(dict(_block_sums(part, inside)))

    def check(self, path: Path) -> None:
        """Verify a file by reading it: rasterio does not report errors when GDAL closes a file on a full disk.

        Raises:
            OSError: A block has other values than were written.
        """
        with _reopened(path) as dataset:
            for window in grid(dataset.height, dataset.width, _BLOCK_PX):
                part = window.clipped(dataset.height, dataset.width)
                for block, total in _block_sums(part, dataset.read(window=_box(part))):
                    if total != self._sums[block]:
                        raise OSError("a block was lost while writing")


def _block_sums(window: Window, values: NDArray[np.uint8]) -> Iterator[tuple[tuple[int, int], int]]:
    """Yield row and column of each block in a window, and the sum of the distances of its values from nodata."""
    bottom, right = window.row + window.height, window.col + window.width
    for row in range(window.row // _BLOCK_PX, -(-bottom // _BLOCK_PX)):
        for col in range(window.col // _BLOCK_PX, -(-right // _BLOCK_PX)):
            top, left = row * _BLOCK_PX - window.row, col * _BLOCK_PX - window.col
            block = values[:, max(top, 0) : top + _BLOCK_PX, max(left, 0) : left + _BLOCK_PX]
            yield (row, col), int((UNLABELLED - block).sum())


@contextmanager
def cog_writer(
    path: Path,
    info: RasterInfo,
    style: BandStyle,
    *,
    overwrite: bool,
    like: RasterInfo | None,
    mask: PixelSource | None,
) -> Iterator[BandWriter]:
    """Yield a writer for the grid of ``info``. The COG appears at ``path`` when the block ends without an error.

    The blocks go to a compressed GeoTIFF beside ``path``; memory holds a few blocks, never the raster.

    Args:
        path: The file to write.
        info: The grid of the windows.
        style: How the band looks.
        overwrite: Whether an existing file is replaced.
        like: The grid of the finished file, when it is another; filled by nearest neighbour.
        mask: A raster on the grid of the finished file; where it is not valid, nor is the file.

    Raises:
        OutputError: The file exists, or cannot be written.
        RasterError: The two grids are rotated against each other.
    """
    with whole_file(path, style.kind, overwrite=overwrite) as partial:
        # The names begin with that of the partial file, so that whole_file removes them.
        work = partial.with_name(f"{partial.stem}.work.tif")
        with _stored(work, info, style) as writer:
            yield writer
        if like is not None:
            writer.check(work)
            work, writer = _regridded(work, info, like, mask=mask, style=style)
        _finish(work, partial, style)
        writer.check(partial)


@contextmanager
def _stored(path: Path, info: RasterInfo, style: BandStyle) -> Iterator[BandWriter]:
    """Yield the writer of a plain GeoTIFF."""
    with _created(path, info, len(style.descriptions)) as dataset:
        dataset.descriptions = style.descriptions
        dataset.update_tags(**style.tags, **{RESULT_TAG: style.kind.name})
        dataset.scales = (style.scale,) * dataset.count
        if style.colors is not None:
            dataset.write_colormap(1, dict(style.colors))
        yield BandWriter(dataset)


def _created(path: Path, info: RasterInfo, bands: int) -> DatasetWriter:
    place = {"transform": info.affine} if info.transform != IDENTITY else {}
    with ignore_missing_georeference():
        return rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=info.height,
            width=info.width,
            count=bands,
            dtype="uint8",
            crs=info.crs,
            nodata=UNLABELLED,
            tiled=True,
            blockxsize=_BLOCK_PX,
            blockysize=_BLOCK_PX,
            compress="deflate",
            zlevel=1,
            BIGTIFF="IF_SAFER",
            **place,
        )


def _finish(work: Path, partial: Path, style: BandStyle) -> None:
    with _reopened(work) as dataset:
        block_px = _block_px(dataset)
    rasterio.shutil.copy(
        work,
        partial,
        driver="COG",
        COMPRESS="DEFLATE",
        PREDICTOR="NO" if style.colors is not None else "STANDARD",
        BLOCKSIZE=block_px,
        OVERVIEW_RESAMPLING=style.overviews,
        NUM_THREADS="ALL_CPUS",
        BIGTIFF="IF_SAFER",
    )
    if style.sidecar is not None:
        partial.with_name(f"{partial.name}.aux.xml").write_text(style.sidecar, encoding="utf-8")


def _block_px(dataset: DatasetReader) -> int:
    """Return the largest block size with at least two blocks along the longer side."""
    side = _BLOCK_PX
    while side > _SMALLEST_BLOCK_PX and 2 * side > max(dataset.height, dataset.width):
        side //= 2
    return side


def _regridded(
    work: Path, info: RasterInfo, like: RasterInfo, *, mask: PixelSource | None, style: BandStyle
) -> tuple[Path, BandWriter]:
    """Resample the bands to another grid by nearest neighbour, block by block; return the new file and its writer."""
    between = ~info.affine @ like.affine
    if abs(between.b) > _NO_SHEAR or abs(between.d) > _NO_SHEAR:
        raise RasterError("the grids are rotated against each other", where=like.path, got=between)
    target = work.with_name(work.name.replace(".work.tif", ".grid.tif"))
    with _reopened(work) as source, _stored(target, like, style) as writer:
        for window in grid(like.height, like.width, _BLOCK_PX):
            values = _nearest(source, window, between)
            if mask is not None:
                values[:, ~mask.read(window)[1]] = UNLABELLED
            writer.write(window, values)
    work.unlink()
    return target, writer


def _nearest(source: DatasetReader, window: Window, between: Affine) -> NDArray[np.uint8]:
    rows = np.arange(window.row, window.row + window.height) + 0.5
    cols = np.arange(window.col, window.col + window.width) + 0.5
    rows = np.clip(np.floor(rows * between.e + between.f), 0, source.height - 1).astype(np.intp)
    cols = np.clip(np.floor(cols * between.a + between.c), 0, source.width - 1).astype(np.intp)
    box = Window(rows.min(), cols.min(), int(np.ptp(rows)) + 1, int(np.ptp(cols)) + 1)
    values: NDArray[np.uint8] = source.read(window=_box(box))
    return values[:, (rows - box.row)[:, None], cols - box.col]


def _reopened(path: Path) -> DatasetReader:
    with ignore_missing_georeference():
        return rasterio.open(path)


def _box(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)
