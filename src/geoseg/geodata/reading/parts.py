"""Open one raster file with its bands, or a raster of embeddings with their values."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geoseg.geodata.reading.embeddings.recognition import open_arrays, open_quantised, space_of_floats
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.opening import describe, open_upright


@dataclass(frozen=True)
class Part:
    """Bands of an open file.

    Attributes:
        dataset: The file, warped if it has another grid than the raster.
        path: The file, for errors.
        bands: The bands to read, 1-based.
    """

    dataset: DatasetReader
    path: Path
    bands: tuple[int, ...]


@contextmanager
def open_file(path: Path) -> Iterator[tuple[RasterInfo, Part | EmbeddingPart]]:
    """Open a raster, and yield its description and its bands except alpha.

    Raises:
        RasterError: The file cannot be read, or holds embeddings that cannot be decoded.
        SettingsError: A package that reads it is not installed.
    """
    with ExitStack() as stack:
        arrays = open_arrays(path, stack)
        if arrays is not None:
            yield arrays
            return
        dataset = stack.enter_context(open_upright(path))
        info = _describe_expanded(dataset, path)
        quantised = open_quantised(dataset, info, stack)
        if quantised is not None:
            yield quantised
            return
        space = space_of_floats(dataset, info)
        yield replace(info, feature_space=space), Part(dataset, path, tuple(data_bands(dataset)))


def has_palette(dataset: DatasetReader) -> bool:
    """Return whether a file has a colour table."""
    return bool(dataset.colorinterp[0] is ColorInterp.palette)


def data_bands(dataset: DatasetReader) -> list[int]:
    """Return the bands of an open file except alpha; those of a palette are red, green and blue."""
    if has_palette(dataset):
        return [1, 2, 3]
    kinds = dataset.colorinterp
    return [band for band in dataset.indexes if kinds[band - 1] is not ColorInterp.alpha]


def _describe_expanded(dataset: DatasetReader, path: Path) -> RasterInfo:
    info = describe(dataset, path)
    return replace(info, bands=3, dtype="uint8") if has_palette(dataset) else info
