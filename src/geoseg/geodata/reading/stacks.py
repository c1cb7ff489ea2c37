"""Open rasters whose bands lie in several files, on one grid."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from rasterio.crs import CRS
from rasterio.enums import ColorInterp, Resampling
from rasterio.errors import CRSError, RasterioError
from rasterio.io import DatasetReader
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from geoseg.domain.feature_spaces import FeatureSpace, join_feature_spaces
from geoseg.domain.raster_stacks import stacked_files
from geoseg.errors import RasterError
from geoseg.geodata.reading.crs import crs_name
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart
from geoseg.geodata.reading.grids import RasterInfo, check_same_grid, same_crs
from geoseg.geodata.reading.opening import check_georeferenced, remote_url
from geoseg.geodata.reading.parts import Part, data_bands, open_file

_LIST_SUFFIX = ".txt"
_MAX_LIST_BYTES = 1_000_000
_FILE_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{1,4}$")
_SAME_SIZE = 1.001


def stack_members(path: Path) -> tuple[Path, ...] | None:
    """Return the files of a stack: of a path for a stack, or of a text file with one path on each line.

    Paths in a text file are relative to its folder. Empty lines and lines that begin with # are skipped. None for an
    ordinary raster.

    Raises:
        RasterError: The text file cannot be read.
    """
    named = stacked_files(path)
    if named is not None or path.suffix.lower() != _LIST_SUFFIX or remote_url(path) or not path.is_file():
        return named
    if path.stat().st_size > _MAX_LIST_BYTES:
        return None
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None  # GDAL reports what is wrong with it.
    lines = [line.strip().strip('"') for line in text.splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names or not _FILE_ENDING.search(names[0]):
        return None  # A text format of GDAL, such as XYZ, begins with numbers or a keyword.
    return tuple(Path(name) if remote_url(Path(name)) else path.parent / name for name in names)


@contextmanager
def open_stack(
    files: Sequence[Path], path: Path
) -> Iterator[tuple[RasterInfo, Sequence[Part | EmbeddingPart]]]:
    """Open files as the bands of one raster, in the order of the files.

    The grid is that of the file with the smallest pixels, the first of equal ones. Files with another grid or CRS are
    warped to it while they are read, by bilinear interpolation; ``notes`` of the description say so. Where a file has
    no pixel, its bands have no value. Embeddings are never interpolated: all files must then have one grid.

    Args:
        files: The files. All bands of each are read, except alpha.
        path: The path of the stack, for its description.

    Raises:
        RasterError: A file cannot be read, has a colour table, lacks a CRS that others have, does not overlap, or holds
            embeddings on another grid.
    """
    with ExitStack() as stack:
        opened = [stack.enter_context(open_file(file)) for file in files]
        if any(info.feature_space for info, _ in opened):
            yield _describe_vectors([info for info, _ in opened], path), [part for _, part in opened]
            return
        datasets = [part.dataset for _, part in opened if isinstance(part, Part)]
        infos = [info for info, _ in opened]
        _check_files(datasets, infos, path)
        grid = _finest(infos)
        parts, notes = list[Part](), list[str]()
        for dataset, info in zip(datasets, infos, strict=True):
            bands = tuple(data_bands(dataset))
            if not _is_same_grid(info, grid):
                notes.append(_describe_warp(info, grid))
                dataset = stack.enter_context(_warped(dataset, info, grid))
            parts.append(Part(dataset, info.path, bands))
        yield _describe_stack(path, grid, infos=infos, notes=notes), parts


def _describe_stack(
    path: Path, grid: RasterInfo, *, infos: Sequence[RasterInfo], notes: Sequence[str]
) -> RasterInfo:
    bands = sum(info.bands for info in infos)
    said = f"{bands} bands of {len(infos)} files are stacked on the grid of {grid.path.name}."
    nodata = {info.nodata for info in infos}
    return replace(
        grid,
        path=path,
        bands=bands,
        dtype=str(np.result_type(*(info.dtype for info in infos))),
        nodata=nodata.pop() if len(nodata) == 1 else None,
        notes=(said, *notes),
    )


def _describe_vectors(infos: Sequence[RasterInfo], path: Path) -> RasterInfo:
    """Describe a stack in which at least one file holds embeddings.

    Raises:
        RasterError: The grids differ, or a file is listed twice.
    """
    _check_listed_once(infos, path)
    for info in infos[1:]:
        check_same_grid(info, infos[0])
    spaces = [info.feature_space or FeatureSpace(info.bands) for info in infos]
    described = _describe_stack(path, infos[0], infos=infos, notes=[])
    return replace(described, feature_space=join_feature_spaces(spaces))


def _check_listed_once(infos: Sequence[RasterInfo], path: Path) -> None:
    repeated = [file for file, times in Counter(info.path.resolve() for info in infos).items() if times > 1]
    if repeated:
        raise RasterError("the stack lists a file twice", where=path, got=repeated[0])


def _check_files(datasets: Sequence[DatasetReader], infos: Sequence[RasterInfo], path: Path) -> None:
    _check_listed_once(infos, path)
    for dataset, info in zip(datasets, infos, strict=True):
        check_georeferenced(info)
        if dataset.colorinterp[0] is ColorInterp.palette:
            raise RasterError(
                "a file with a colour table cannot be a part of a stack",
                where=info.path,
                expected="bands of measured values",
                hint="Convert it to red, green and blue: gdal_translate -expand rgb.",
            )
    without = [info.path.name for info in infos if info.crs is None]
    if without and len(without) < len(infos):
        raise RasterError(
            "some files of the stack have a CRS and some have none",
            where=path,
            expected="a CRS in all files or in none",
            got=f"none in {', '.join(without)}",
            hint="Assign it: gdal_edit.py -a_srs EPSG:<code> FILE.",
        )


def _finest(infos: Sequence[RasterInfo]) -> RasterInfo:
    """Return the file with the smallest pixels; of those within a thousandth, the first."""
    sizes = [info.resolution_m or abs(info.affine.determinant) ** 0.5 for info in infos]
    return next(info for info, size in zip(infos, sizes, strict=True) if size <= min(sizes) * _SAME_SIZE)


def _is_same_grid(info: RasterInfo, grid: RasterInfo) -> bool:
    try:
        check_same_grid(info, grid)
    except RasterError:
        return False
    return info.is_georeferenced == grid.is_georeferenced


def _describe_warp(info: RasterInfo, grid: RasterInfo) -> str:
    """Say how the pixels of a file change to lie on the grid of a stack."""
    if info.crs is not None and not same_crs(info.crs, grid):
        what = f"warped from {crs_name(info.crs)} to {crs_name(grid.crs)}"
    elif info.resolution_m and grid.resolution_m and info.resolution_m > grid.resolution_m * _SAME_SIZE:
        what = f"resampled from {info.resolution_m:.4g} m to {grid.resolution_m:.4g} m"
    else:
        what = "shifted to the grid"
    return f"{info.path.name} is {what} (bilinear interpolation)."


def _warped(dataset: DatasetReader, info: RasterInfo, grid: RasterInfo) -> WarpedVRT:
    """Return a file on the grid of a stack; it reads in windows.

    Raises:
        RasterError: Without a CRS the grids cannot be compared, the file does not overlap the grid, or there is no
            transformation between the CRS.
    """
    if info.crs is None or grid.crs is None:
        raise RasterError(
            "the files of a stack without a CRS must have one pixel grid",
            where=info.path,
            expected=f"the size and position of {grid.path}",
            got=f"{info.height} x {info.width} px",
            hint="Assign a CRS to all files.",
        )
    target = CRS.from_wkt(grid.crs)
    # A CRS that is only written differently must not cause a shift of datum.
    source = target if same_crs(info.crs, grid) else CRS.from_wkt(info.crs)
    try:
        left, bottom, right, top = transform_bounds(source, target, *info.bounds)
        warped = WarpedVRT(
            dataset,
            src_crs=source,
            crs=target,
            transform=grid.affine,
            width=grid.width,
            height=grid.height,
            resampling=Resampling.bilinear,
            # A place outside the file needs a mark where no value means nodata.
            add_alpha=dataset.nodata is None and ColorInterp.alpha not in dataset.colorinterp,
        )
    except (RasterioError, CRSError) as error:
        raise RasterError(
            "the file cannot be warped to the grid of the stack", where=info.path, got=error
        ) from error
    west, south, east, north = grid.bounds
    if not (left < east and right > west and bottom < north and top > south):
        raise RasterError(
            "the file does not overlap the other files of the stack",
            where=info.path,
            expected=f"a part of {grid.path}",
            got=f"x {left:.8g} to {right:.8g}, y {bottom:.8g} to {top:.8g} in {crs_name(grid.crs)}",
        )
    return warped
