"""Check the pixel values of a raster for undeclared nodata and for a scale other than in training."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from geoseg.domain.pixels.undeclared_nodata import find_alpha, find_fill
from geoseg.domain.pixels.value_ranges import (
    MAX_OUTSIDE,
    PixelSample,
    RasterValues,
    assume_values,
    is_other_scale,
    measure_values,
    share_outside,
    values_by_band,
)
from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import random_windows
from geoseg.errors import PixelValuesError
from geoseg.geodata.reading.rasters import Raster
from geoseg.learning.model_record import ModelRecord

WINDOW_PX = 64
MAX_WINDOWS_PER_SIDE = 8
MAX_RASTERS = 32
_MIN_MISSING = 0.01
_MAX_BANDS_SHOWN = 4
_MANY_BANDS = 16


def sample_pixels(source: PixelSource, *, most: int = MAX_WINDOWS_PER_SIDE) -> PixelSample:
    """Read up to ``most`` x ``most`` windows of 64 px spread over a raster. The choice is deterministic.

    Raises:
        RasterError: The file is damaged.
    """
    return [
        source.read(window) for window in random_windows(source.height, source.width, WINDOW_PX, most=most)
    ]


def _limit_windows(most: int, bands: int) -> int:
    """Limit the windows per side for rasters of more than 16 bands, so that the sample does not grow with the bands."""
    return max(2, math.floor(most * math.sqrt(min(1.0, _MANY_BANDS / bands))))


def check_values(source: Raster, record: ModelRecord, *, any_values: bool) -> tuple[str, ...]:
    """Compare the values of a raster with those of a model's training; return warnings, one sentence each.

    Args:
        source: The raster as the model reads it, at any resolution.
        record: The model's record.
        any_values: Whether values on another scale give a warning instead of an error.

    Raises:
        PixelValuesError: The values are on another scale.
        RasterError: The file is damaged.
    """
    most = _limit_windows(MAX_WINDOWS_PER_SIDE, source.bands)
    sample, name = sample_pixels(source, most=most), source.info.path.name
    own, trained = measure_values(sample, source.info.dtype), values_of(record)
    notes = list(undeclared_nodata(sample, name, record.bands, dtype=own.dtype))
    if own.bands and is_other_scale(own, trained):
        error = _other_scale(source, own, trained, bands=record.bands)
        if not any_values:
            raise error
        return (*notes, _as_warning(error, name))
    return (*notes, *_differences(sample, name, trained, bands=record.bands))


def values_of(record: ModelRecord) -> RasterValues:
    """Return the pixel values of a model's training; older files: values derived from the normalisation."""
    if record.values:
        return RasterValues(record.values, record.dtype)
    count, normalisation = len(record.bands), record.normalisation
    return assume_values(normalisation.mean[:count], normalisation.deviation[:count], record.dtype)


def check_training_values(
    sources: Mapping[str, Raster], images: Iterable[str], bands: Sequence[int], *, any_values: bool
) -> tuple[RasterValues, tuple[str, ...]]:
    """Measure the values of the training rasters; return them and warnings.

    Of more than 32 rasters, read at most 32, spread over their list.

    Raises:
        PixelValuesError: Two rasters hold values on different scales.
        RasterError: A file is damaged.
    """
    names = sorted(images)
    chosen = [sources[name] for name in names[:: math.ceil(len(names) / MAX_RASTERS)]]
    most = max(2, round(MAX_WINDOWS_PER_SIDE / math.sqrt(len(chosen))))
    samples = [sample_pixels(source, most=_limit_windows(most, len(bands))) for source in chosen]
    notes = list[str]()
    first: RasterValues | None = None
    for source, sample in zip(chosen, samples, strict=True):
        notes += undeclared_nodata(sample, source.info.path.name, bands, dtype=source.info.dtype)
        own = measure_values(sample, source.info.dtype)
        first = first or own
        if is_other_scale(own, first) or is_other_scale(first, own):
            error = _other_scale(source, own, first, bands=bands)
            if not any_values:
                raise error
            notes.append(_as_warning(error, source.info.path.name))
    joined = [window for sample in samples for window in sample]
    return measure_values(joined, chosen[0].info.dtype), tuple(notes)


def undeclared_nodata(sample: PixelSample, name: str, bands: Sequence[int], *, dtype: str) -> Iterable[str]:
    """Yield a warning for each sign that pixels without data count as valid."""
    fill, transparent = find_fill(sample), find_alpha(sample)
    if fill is not None:
        value = _exact(fill.value, dtype)
        yield (
            f"{name}: the value {value} fills about {100 * fill.share:.1f} % of the raster in all bands, but is not "
            f"declared as nodata. If it means no data, declare it: --nodata {value}."
        )
    if transparent is not None:
        yield (
            f"{name}: band {bands[-1]} holds two values only, 0 at about {100 * transparent:.1f} % of the pixels, and "
            f"looks like an alpha band without that colour interpretation. If it is one, run: gdal_edit.py -colorinterp_{bands[-1]} alpha {name}"
        )
    valid = sum(int(inside.sum()) for _, inside in sample)
    for band, values in zip(bands, values_by_band(sample), strict=False):
        missing = 1 - len(values) / valid if valid else 0.0
        if missing >= _MIN_MISSING:
            yield (
                f"{name}: band {band} has no value at about {100 * missing:.1f} % of the pixels that have values in other "
                "bands; its mean is used there. --strict-nodata excludes these pixels."
            )


def _exact(value: float, dtype: str) -> str:
    """Format a value exactly as stored: float32 cannot represent the limits of wide integer types."""
    kind = np.dtype(dtype)
    ends = (np.iinfo(kind).min, np.iinfo(kind).max) if kind.kind in "iu" else ()
    whole = next((end for end in ends if np.float32(end) == np.float32(value)), None)
    if whole is not None or float(value).is_integer():
        return str(int(value) if whole is None else whole) if abs(value) < 2**63 else str(np.float32(value))
    return str(np.float32(value))


def _other_scale(
    source: Raster, own: RasterValues, trained: RasterValues, *, bands: Sequence[int]
) -> PixelValuesError:
    top, wanted = max(b.high for b in own.bands), max(b.high for b in trained.bands)
    kind = "-ot Byte " if trained.dtype == "uint8" else ""
    rescale = f"gdal_translate {kind}-scale 0 {top:.4g} 0 {wanted:.4g} {source.info.path.name} rescaled.tif"
    return PixelValuesError(
        "the pixel values are on another scale than at training",
        where=source.info.path,
        expected=_ranges(trained, bands),
        got=_ranges(own, bands),
        hint=f"Rescale the raster like the training rasters, for example {rescale}, or train on rasters like "
        "this one. --any-values uses the values unchanged.",
    )


def _as_warning(error: PixelValuesError, name: str) -> str:
    return f"{name}: {error.what}; expected {error.expected}, got {error.got}."


def _ranges(values: RasterValues, bands: Sequence[int]) -> str:
    shown = [f"band {b} {v.range_text}" for b, v in zip(bands[:_MAX_BANDS_SHOWN], values.bands, strict=False)]
    more = ["..."] if len(bands) > _MAX_BANDS_SHOWN else []
    return f"{', '.join(shown + more)} ({values.dtype})"


def _differences(
    sample: PixelSample, name: str, trained: RasterValues, *, bands: Sequence[int]
) -> Iterable[str]:
    """Yield a warning if many values lie outside the range of the training values."""
    parts = []
    for band, values, known in zip(bands, values_by_band(sample), trained.bands, strict=False):
        outside = share_outside(values, known)
        if outside > MAX_OUTSIDE:
            low, high = np.percentile(values, (2, 98))
            parts.append(
                f"band {band}: {100 * outside:.0f} % of the pixels, {low:,.4g} to {high:,.4g} instead of {known.range_text}"
            )
    if parts:
        yield (
            f"{name}: many values lie outside the range of the training values ({'; '.join(parts)}). The map may be poor "
            "because the landscape, season or exposure differs. Train with points on this raster too."
        )
