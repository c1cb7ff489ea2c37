"""Write and read class maps, and the confidence and probabilities that go with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.prediction import STEPS
from geoseg.errors import LegendError
from geoseg.geodata.categories import (
    CLASS_NAMES_TAG,
    class_names,
    color_table,
    legend_of_names,
    names_tag,
    sidecar_xml,
)
from geoseg.geodata.cogs import BandStyle, BandWriter, cog_writer
from geoseg.geodata.file_kinds import CLASS_MAP, CONFIDENCE, PROBABILITIES
from geoseg.geodata.grids import RasterInfo
from geoseg.geodata.masks import read_class_ids
from geoseg.geodata.opening import open_upright
from geoseg.geodata.rasters import open_raster


@contextmanager
def class_map_writer(
    path: Path,
    info: RasterInfo,
    legend: Legend,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    bands: Sequence[int] | None = None,
) -> Iterator[BandWriter]:
    """Yield a writer of class ids (h, w); when the block ends well, the map appears at ``path``.

    The map is a Cloud Optimized GeoTIFF: uint8, nodata 255, colours and class names of the legend,
    overviews by mode, CRS and transform of the raster. Windows never written are nodata.

    Args:
        path: The file to write.
        info: The grid of the windows.
        legend: The classes.
        overwrite: Whether an existing file is replaced.
        like: The original raster, when ``info`` is a resampled grid of it: the map is laid back on
            its grid by nearest neighbour, and is nodata where the original is.
        bands: With ``like``: the bands of the original whose nodata counts; None means all.

    Raises:
        OutputError: The file exists, or cannot be written; nothing of it is left.
    """
    style = BandStyle(
        CLASS_MAP,
        descriptions=("class",),
        overviews="MODE",
        tags={CLASS_NAMES_TAG: names_tag(legend)},
        colors=color_table(legend),
        sidecar=sidecar_xml(legend),
    )
    with _band_writer(path, info, style, overwrite=overwrite, like=like, bands=bands) as writer:
        yield writer


@contextmanager
def confidence_writer(
    path: Path,
    info: RasterInfo,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    bands: Sequence[int] | None = None,
) -> Iterator[BandWriter]:
    """Yield a writer of confidence (h, w) in steps of 1/254; when the block ends well, the raster appears at ``path``.

    The raster is a Cloud Optimized GeoTIFF like the class map's: uint8 0..254 with the band's scale
    set to 1/254 (so that GIS programs show 0..1), nodata 255, overviews by average. The arguments and
    errors are those of ``class_map_writer``.
    """
    style = BandStyle(CONFIDENCE, descriptions=("confidence",), overviews="AVERAGE", tags={}, scale=1 / STEPS)
    with _band_writer(path, info, style, overwrite=overwrite, like=like, bands=bands) as writer:
        yield writer


@contextmanager
def probabilities_writer(
    path: Path,
    info: RasterInfo,
    legend: Legend,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    bands: Sequence[int] | None = None,
) -> Iterator[BandWriter]:
    """Yield a writer of the probabilities (C, h, w) of all classes, one band each, as ``confidence_writer`` does."""
    style = BandStyle(PROBABILITIES, descriptions=legend.names, overviews="AVERAGE", tags={}, scale=1 / STEPS)
    with _band_writer(path, info, style, overwrite=overwrite, like=like, bands=bands) as writer:
        yield writer


def read_class_map(path: Path) -> tuple[NDArray[np.uint8], RasterInfo, Legend | None]:
    """Read a class map whole.

    Returns:
        Class ids (H, W), 255 where there is none; what the raster is; and the legend of the classes that the file
        names, or None if it names none. Maps of other programs may number their classes in any way.

    Raises:
        RasterError: The file cannot be read or is not a map of class ids.
        LegendError: It holds a value that is no class of its own legend.
    """
    path = Path(path)
    with open_upright(path) as dataset:
        has_colors = dataset.colorinterp[0] is ColorInterp.palette
        legend, table = legend_of_names(
            class_names(dataset, path), dataset.colormap(1) if has_colors else None
        )
    class_ids, info = read_class_ids(path)
    if legend is None:
        return class_ids, info, None
    unnamed = np.flatnonzero(
        np.bincount(class_ids.ravel(), minlength=256)[:UNLABELLED] * (table[:UNLABELLED] == UNLABELLED)
    )
    if len(unnamed):
        raise LegendError(
            "the map holds values that it does not name",
            where=path,
            expected=", ".join(
                f"{value} = {legend.names[k]}" for value, k in enumerate(table) if k != UNLABELLED
            ),
            got=", ".join(map(str, unnamed)),
        )
    return table[class_ids], info, legend


@contextmanager
def _band_writer(
    path: Path,
    info: RasterInfo,
    style: BandStyle,
    *,
    overwrite: bool,
    like: RasterInfo | None,
    bands: Sequence[int] | None,
) -> Iterator[BandWriter]:
    with ExitStack() as stack:
        mask = stack.enter_context(open_raster(like.path, bands=bands)) if like is not None else None
        yield stack.enter_context(cog_writer(path, info, style, overwrite=overwrite, like=like, mask=mask))
