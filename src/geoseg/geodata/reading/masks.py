"""Read masks of class ids from raster files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetReader

from geoseg.domain.legend import MAX_CLASSES, UNLABELLED, Legend
from geoseg.domain.mask_codes import FoundValues, StatedValues, match_values, named_values
from geoseg.domain.windows import Window
from geoseg.errors import LegendError, RasterError
from geoseg.geodata.reading.categories import class_names
from geoseg.geodata.reading.grids import RasterInfo, check_same_grid
from geoseg.geodata.reading.opening import describe, open_upright, read_bands

_Numbers = NDArray[np.integer[Any] | np.floating[Any]]

_MAX_QUOTED = 5
_RGB = 3
_GREYS = {value: f"#{value:02x}{value:02x}{value:02x}" for value in range(256)}


class MaskReader:
    """Reads masks as class ids of a legend, and records how their values were interpreted.

    Attributes:
        notes: Interpretation of the values, one sentence each, without repetition.
        warnings: Possible errors of the interpretation, one sentence each.
    """

    def __init__(
        self,
        legend: Legend,
        *,
        codes: Legend | None,
        values: Mapping[str, str] | None = None,
        all_masks: Sequence[Path] = (),
    ) -> None:
        """Create a reader.

        Args:
            legend: The classes, with the ids of the result.
            codes: The legend file of the masks, if there is one.
            values: Class names by value, given by the user.
            all_masks: All masks of the dataset, read if the values of one mask are ambiguous.
        """
        self.notes, self.warnings = list[str](), list[str]()
        self._stated = StatedValues(legend, codes, values)
        self._all_masks = all_masks
        self._unlabelled = self._pixels = 0

    def read(self, path: Path, like: RasterInfo | None = None) -> NDArray[np.uint8]:
        """Read a mask as class ids (H, W), 255 for unlabelled pixels.

        Args:
            path: A raster with one band, or with red, green and blue; an alpha band is allowed.
            like: A raster with the grid that the mask must have.

        Raises:
            RasterError: The file cannot be read, has fractional values, or has another grid than ``like``.
            LegendError: A value has no class, or its class is ambiguous.
        """
        stored = _read(path, like, keep_nodata=named_values(self._values_by_class()))
        matching = match_values(stored.found, self._stated, self._others)
        if matching.note:
            _add(self.notes, f"{path.name}: {matching.note}.", among=matching.note)
        if matching.warning:
            _add(self.warnings, f"{path.name}: {matching.warning}.", among=matching.warning)
        if matching.ids.get(UNLABELLED) == UNLABELLED and not stored.found.is_rgb:
            self._unlabelled += stored.found.counts[UNLABELLED]
        self._pixels += sum(stored.found.counts.values())
        return _to_class_ids(stored, matching.ids)

    def describe_values(self) -> list[str]:
        """Return the notes, and the share of pixels with value 255 read as unlabelled without a nodata declaration."""
        if not self._unlabelled:
            return self.notes
        share = 100 * self._unlabelled / self._pixels
        return [*self.notes, f"255 in the masks is read as unlabelled: {share:.1f} % of their pixels."]

    def _values_by_class(self) -> Mapping[str, str]:
        codes = self._stated.codes
        own = {str(c.value): c.name for c in codes.classes if c.value is not None} if codes else {}
        return self._stated.values if self._stated.values is not None else own

    def _others(self) -> Iterator[FoundValues]:
        for path in self._all_masks:
            yield _read(path, None, keep_nodata=set()).found


def read_mask(path: Path, legend: Legend, like: RasterInfo | None = None) -> NDArray[np.uint8]:
    """Read one mask with :class:`MaskReader`, as ids of its legend."""
    return MaskReader(legend, codes=legend).read(Path(path), like)


def read_class_ids(path: Path) -> tuple[NDArray[np.uint8], RasterInfo]:
    """Read the stored class ids 0..254 of a single band; 255 for nodata.

    Raises:
        RasterError: The file cannot be read, or has several bands or fractional values.
        LegendError: The file has values outside this range.
    """
    path = Path(path)
    with open_upright(path) as dataset:
        info = describe(dataset, path)
        return read_class_window(dataset, info, Window(0, 0, info.height, info.width)), info


def read_class_window(dataset: DatasetReader, info: RasterInfo, window: Window) -> NDArray[np.uint8]:
    """Read the stored class ids 0..254 of a window inside an open raster of one band; 255 for nodata.

    Raises:
        RasterError: The file cannot be read, or has several bands or fractional values.
        LegendError: The window has values outside this range.
    """
    path = info.path
    _check_one_band(info)
    values, valid = _bands(dataset, path, info, window=window)
    numbers = values[0].astype(np.int16) if values.dtype == np.int8 else values[0]  # int8 has no 255
    numbers = np.where(valid, numbers, np.asarray(UNLABELLED, numbers.dtype))
    _check_whole(numbers, path)
    strange = numbers[((numbers < 0) | (numbers >= MAX_CLASSES)) & (numbers != UNLABELLED)]
    if strange.size:
        found = np.unique(strange)
        names = ", ".join(f"{value:g}" for value in found[:_MAX_QUOTED].astype(np.float64))
        more = ", ..." if len(found) > _MAX_QUOTED else ""
        raise LegendError(
            "the map has values that are not class ids",
            where=path,
            expected=f"class ids 0..{MAX_CLASSES - 1}, or {UNLABELLED} for nodata",
            got=f"{names}{more} ({strange.size} pixels)",
        )
    return numbers.astype(np.uint8)


@dataclass(frozen=True)
class _Stored:
    """Stored values of a mask (H, W), their validity (H, W), and the values found with their counts."""

    values: NDArray[np.integer[Any]]
    valid: NDArray[np.bool_]
    found: FoundValues


def _read(path: Path, like: RasterInfo | None, *, keep_nodata: set[int]) -> _Stored:
    """Read a mask. If its nodata value is in ``keep_nodata``, pixels with it are valid."""
    with open_upright(path) as dataset:
        info = describe(dataset, path)
        if like is not None:
            check_same_grid(info, like)
        bands, valid = _bands(dataset, path, info)
        values, is_rgb = _codes(bands, info)
        is_grey = len(bands) == _RGB and not is_rgb
        palette = _GREYS if is_grey else _palette(dataset)
        names = class_names(dataset, path)
    _check_whole(values[valid], path)
    nodata = _nodata(info, is_rgb=is_rgb)
    has_nodata = values == nodata if nodata is not None else np.zeros_like(valid)
    valid = valid & ~has_nodata | (has_nodata if nodata in keep_nodata else False)
    counts = _count(values[valid])
    is_left = nodata is not None and nodata not in keep_nodata
    found = FoundValues(
        path,
        counts,
        nodata if is_left else None,
        int(has_nodata.sum()) if is_left else 0,
        is_rgb=is_rgb,
        is_grey=is_grey,
        palette=palette,
        names=names,
    )
    return _Stored(values.astype(np.uint8 if values.dtype == np.uint8 else np.int64), valid, found)


def _bands(
    dataset: DatasetReader, path: Path, info: RasterInfo, *, window: Window | None = None
) -> tuple[_Numbers, NDArray[np.bool_]]:
    """Read one or three bands of a window, or of the whole raster, and their valid mask (H, W)."""
    if info.bands not in {1, _RGB}:
        raise RasterError(
            "this is not a mask of classes",
            where=path,
            expected="one band of numbers, or red, green and blue",
            got=f"{info.bands} bands",
        )
    window = window or Window(0, 0, info.height, info.width)
    values, has_value = read_bands(dataset, path, bands=list(range(1, info.bands + 1)), window=window)
    valid = np.asarray(has_value.any(axis=0))
    if values.dtype.kind == "f":
        valid = valid & ~np.isnan(values).any(axis=0)
        values = np.where(np.isnan(values), 0, values)
    return values, valid


def _codes(bands: _Numbers, info: RasterInfo) -> tuple[_Numbers, bool]:
    """Return one number per pixel (H, W), and whether it encodes a colour; grey counts as a plain value."""
    if len(bands) == 1:
        return bands[0], False
    if bands.dtype != np.uint8:
        raise RasterError(
            "this is not a mask of classes",
            where=info.path,
            expected="one band of numbers, or colours of 8 bits",
            got=f"3 bands of {bands.dtype}",
        )
    if (bands == bands[0]).all():
        return bands[0], False
    red, green, blue = bands.astype(np.int32)
    return (red << 16) | (green << 8) | blue, True


def _nodata(info: RasterInfo, *, is_rgb: bool) -> int | None:
    if info.nodata is None or info.nodata != info.nodata or is_rgb:
        return None
    return int(info.nodata) if info.nodata == int(info.nodata) else None


def _palette(dataset: DatasetReader) -> dict[int, str]:
    if dataset.colorinterp[0] is not ColorInterp.palette:
        return {}
    table = dataset.colormap(1)
    return {value: "#{:02x}{:02x}{:02x}".format(*rgba[:3]) for value, rgba in table.items() if rgba[3]}


def _count(values: _Numbers) -> dict[int, int]:
    """Return the number of pixels of each value."""
    if values.dtype == np.uint8:
        counts = np.bincount(values, minlength=256)
        return {int(value): int(counts[value]) for value in np.flatnonzero(counts)}
    found, counts = np.unique(values, return_counts=True)
    return {int(value): int(count) for value, count in zip(found, counts, strict=True)}


def _to_class_ids(stored: _Stored, ids: Mapping[int, int]) -> NDArray[np.uint8]:
    known = np.array(sorted(ids), np.int64)
    if not len(known):
        return np.full(stored.values.shape, UNLABELLED, np.uint8)
    of_known = np.array([ids[value] for value in known.tolist()], np.uint8)
    if stored.values.dtype == np.uint8:
        table = np.full(256, UNLABELLED, np.uint8)
        table[known] = of_known
        classes = table[stored.values]
    else:
        place = np.minimum(np.searchsorted(known, stored.values), len(known) - 1)
        classes = np.where(known[place] == stored.values, of_known[place], np.uint8(UNLABELLED))
    return np.where(stored.valid, classes, np.uint8(UNLABELLED))


def _add(texts: list[str], text: str, *, among: str) -> None:
    """Add a sentence unless it was added for another mask."""
    if not any(among in said for said in texts):
        texts.append(text)


def _check_one_band(info: RasterInfo) -> None:
    if info.bands != 1:
        raise RasterError(
            "this is not a map of class ids", where=info.path, expected="one band", got=f"{info.bands} bands"
        )


def _check_whole(numbers: _Numbers, path: Path) -> None:
    if numbers.dtype.kind != "f":
        return
    fractional = numbers[~np.isfinite(numbers) | (numbers != np.round(numbers))]
    if fractional.size:
        raise RasterError(
            "this is not a mask of class ids",
            where=path,
            expected="whole numbers",
            got=f"{fractional.size} fractional values, the first {fractional[0]}",
        )
