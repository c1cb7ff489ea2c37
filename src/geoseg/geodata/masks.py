"""Read dense class ids from a raster file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import MAX_CLASSES, UNLABELLED, Legend
from geoseg.domain.windows import Window
from geoseg.errors import LegendError, RasterError
from geoseg.geodata.grids import RasterInfo, check_same_grid
from geoseg.geodata.opening import describe, open_upright, read_bands

_Numbers = NDArray[np.integer[Any] | np.floating[Any]]

_NAMED_AT_MOST = 5


def read_mask(path: Path, legend: Legend | None, like: RasterInfo | None = None) -> NDArray[np.uint8]:
    """Read a mask: dense class ids (H, W), 255 where the file has 255, nodata or a mask.

    Args:
        path: A raster of one band (and perhaps alpha); a palette is not looked up, its indices are ids.
        legend: The classes that may occur; None allows any ids from 0 to 254.
        like: A raster that the mask must lie over, pixel on pixel.

    Raises:
        RasterError: The file cannot be read, has several bands or fractional values, or another
            size, CRS or transform than ``like``.
        LegendError: It holds a value that is no class of the legend.
    """
    path = Path(path)
    with open_upright(path) as dataset:
        info = describe(dataset, path)
        _check_one_band(info)
        if like is not None:
            check_same_grid(info, like)
        values, valid = read_bands(dataset, path, bands=[1], window=Window(0, 0, info.height, info.width))
    return _class_ids(values[0], valid, legend, where=path)


def _check_one_band(info: RasterInfo) -> None:
    if info.bands != 1:
        raise RasterError(
            "this is not a mask of class ids",
            where=info.path,
            expected="one band",
            got=f"{info.bands} bands",
            hint="A mask painted in colours must be turned into class ids first.",
        )


def _class_ids(
    values: _Numbers, valid: NDArray[np.bool_], legend: Legend | None, *, where: Path
) -> NDArray[np.uint8]:
    if values.dtype == np.int8:
        values = values.astype(np.int16)  # int8 has no 255
    numbers = np.where(valid, values, np.asarray(UNLABELLED, values.dtype))
    if numbers.dtype.kind == "f":
        numbers = np.where(np.isnan(numbers), np.asarray(UNLABELLED, values.dtype), numbers)
    _check_whole(numbers, where)
    _check_known(numbers, legend, where)
    return numbers.astype(np.uint8)


def _check_whole(numbers: _Numbers, path: Path) -> None:
    if numbers.dtype.kind != "f":
        return
    fractional = numbers[np.isfinite(numbers) & (numbers != np.round(numbers))]
    if fractional.size:
        raise RasterError(
            "this is not a mask of class ids",
            where=path,
            expected="whole numbers",
            got=f"{fractional.size} fractional values, the first {fractional[0]}",
        )


def _check_known(numbers: _Numbers, legend: Legend | None, path: Path) -> None:
    classes = len(legend) if legend is not None else MAX_CLASSES
    strange = numbers[((numbers < 0) | (numbers >= classes)) & (numbers != UNLABELLED)]
    if not strange.size:
        return
    found = np.unique(strange)
    names = ", ".join(f"{value:g}" for value in found[:_NAMED_AT_MOST].astype(np.float64))
    more = ", ..." if len(found) > _NAMED_AT_MOST else ""
    raise LegendError(
        "the mask holds values that are no class" + (" of the legend" if legend is not None else ""),
        where=path,
        expected=f"class ids 0..{classes - 1}, or {UNLABELLED} for unlabelled",
        got=f"{names}{more} ({strange.size} pixels)",
        hint="Add the class to the legend, or set these pixels to 255.",
    )
