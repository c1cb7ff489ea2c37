"""Find the bands without data at points on invalid pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from geoseg.domain.points import Points
from geoseg.domain.windows import Window
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.rasters import Raster, open_raster

_MAX_SAMPLED = 2_000


def describe_bands_without_data(
    points: Points, rasters: Mapping[str, RasterInfo], bands: Sequence[int]
) -> str:
    """Return a sentence on bands that make points unusable although other bands have data; "" if there are none.

    Args:
        points: Points on invalid pixels.
        rasters: The rasters by image name.
        bands: The used bands, 1-based.
    """
    if len(bands) < 2 or not len(points):
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
    rows, cols = (np.floor(values + 0.5).astype(int) for values in (points.row, points.col))
    missing = np.zeros((len(points), len(bands)), np.bool_)
    for position, band in enumerate(bands):
        with open_raster(info.path, bands=[band]) as source:
            missing[:, position] = [
                not _is_valid(source, row, col) for row, col in zip(rows.tolist(), cols.tolist(), strict=True)
            ]
    return [tuple(band for band, is_missing in zip(bands, own, strict=True) if is_missing) for own in missing]


def _is_valid(source: Raster, row: int, col: int) -> bool:
    return bool(source.read(Window(row, col, 1, 1))[1][0, 0])
