"""Find the bands without data at points on invalid pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from geoseg.domain.points import Points
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.rasters import open_raster
from geoseg.geodata.reading.validity import valid_at

_MAX_SAMPLED = 2_000
_MAX_BANDS = 16
"""Of more bands, such as those of an embedding, no single one can be left out."""


def describe_bands_without_data(
    points: Points, rasters: Mapping[str, RasterInfo], bands: Sequence[int]
) -> str:
    """Return a sentence on bands that make points unusable although other bands have data; "" if there are none.

    Args:
        points: Points on invalid pixels.
        rasters: The rasters by image name.
        bands: The used bands, 1-based.
    """
    if not 2 <= len(bands) <= _MAX_BANDS or not len(points):
        return ""
    sample = points.take(np.unique(np.linspace(0, len(points) - 1, _MAX_SAMPLED).astype(np.intp)))
    sample = sample if len(points) > _MAX_SAMPLED else points
    without = Counter[tuple[int, ...]]()
    for image in np.unique(sample.image).tolist():
        own = sample.on_image(image)
        without.update(_bands_without_data(own, rasters[image], bands))
    without.pop(tuple(bands), None)
    if not without:
        return ""
    found, count = without.most_common(1)[0]
    nodata = rasters[str(sample.image[0])].nodata
    value = "" if nodata is None else f" (its nodata value is {nodata:g})"
    named = f"band {found[0]} has" if len(found) == 1 else f"bands {', '.join(map(str, found))} have"
    whole = f"{count:,} of them" if sample is points else f"{count / len(sample):.0%} of them"
    return (
        f"At {whole}, only {named} no data{value}. "
        "Leave out these bands, or remove the nodata declaration, to keep the points."
    )


def _bands_without_data(points: Points, info: RasterInfo, bands: Sequence[int]) -> list[tuple[int, ...]]:
    """Return the bands without data under each point."""
    pixels = np.floor(np.stack([points.row, points.col], axis=1) + 0.5).astype(np.int64)
    missing = np.zeros((len(points), len(bands)), np.bool_)
    for position, band in enumerate(bands):
        with open_raster(info.path, bands=[band]) as source:
            missing[:, position] = ~valid_at(source, pixels)
    return [tuple(band for band, is_missing in zip(bands, own, strict=True) if is_missing) for own in missing]
