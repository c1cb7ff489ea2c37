"""Write and read class maps, with their confidence and probabilities."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.enums import ColorInterp

from geoseg.domain.legend import UNLABELLED, UNSURE, Legend
from geoseg.domain.mapping.prediction import STEPS
from geoseg.domain.ports import PixelSource
from geoseg.domain.training_places import TrainingPlaces, read_places
from geoseg.errors import LegendError, RasterError
from geoseg.geodata.outputs.cogs import BandStyle, BandWriter, cog_writer
from geoseg.geodata.outputs.file_kinds import CLASS_MAP, CONFIDENCE, CONFORMAL, PROBABILITIES
from geoseg.geodata.reading.categories import (
    CLASS_NAMES_TAG,
    class_names,
    color_table,
    legend_of_names,
    names_tag,
    sidecar_xml,
    unsure_color,
)
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import read_class_ids
from geoseg.geodata.reading.opening import open_upright

ABSTAINED_TAG = "ABSTAINED_BELOW"
"""Tag of a class map whose value 254 means unsure, with the confidence below which it does."""
MODEL_TAG, PLACES_TAG = "MODEL", "TRAINING_POINTS"


def class_map_writer(  # noqa: PLR0913
    path: Path,
    info: RasterInfo,
    legend: Legend,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    mask: PixelSource | None = None,
    origin: Mapping[str, str] | None = None,
    abstained_below: float | None = None,
) -> AbstractContextManager[BandWriter]:
    """Return a writer of class ids (h, w). The map appears at ``path`` when the block ends without an error.

    The map is a Cloud Optimized GeoTIFF: uint8, nodata 255, colours and class names of the legend,
    overviews by mode, CRS and transform of the raster. Windows never written are nodata.

    Args:
        path: The file to write.
        info: The grid of the windows.
        legend: The classes.
        overwrite: Whether an existing file is replaced.
        like: The original raster, when ``info`` is a resampled grid of it: the map is laid back on
            its grid by nearest neighbour.
        mask: With ``like``: the original raster, as the model reads it. Where it is not valid, the map is nodata.
        origin: Tags that say which model made the map, from ``origin_tags``.
        abstained_below: Confidence below which pixels have the value 254, unsure; None: there are none.

    Raises:
        OutputError: The file exists, or cannot be written. A partial file is removed.
    """
    abstained = {} if abstained_below is None else {ABSTAINED_TAG: f"{abstained_below:g}"}
    style = BandStyle(
        CLASS_MAP,
        descriptions=("class",),
        overviews="MODE",
        tags={CLASS_NAMES_TAG: names_tag(legend), **(origin or {}), **abstained},
        colors=color_table(legend) | ({UNSURE: unsure_color()} if abstained else {}),
        sidecar=sidecar_xml(legend),
    )
    return cog_writer(path, info, style, overwrite=overwrite, like=like, mask=mask)


def confidence_writer(
    path: Path,
    info: RasterInfo,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    mask: PixelSource | None = None,
) -> AbstractContextManager[BandWriter]:
    """Return a writer of confidence (h, w) in steps of 1/254; works as ``class_map_writer``.

    The raster is a Cloud Optimized GeoTIFF like the class map's: uint8 0..254 with the band's scale
    set to 1/254 (so that GIS programs show 0..1), nodata 255, overviews by average. The arguments and
    errors are those of ``class_map_writer``.
    """
    style = BandStyle(CONFIDENCE, descriptions=("confidence",), overviews="AVERAGE", tags={}, scale=1 / STEPS)
    return cog_writer(path, info, style, overwrite=overwrite, like=like, mask=mask)


def probabilities_writer(
    path: Path,
    info: RasterInfo,
    legend: Legend,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    mask: PixelSource | None = None,
) -> AbstractContextManager[BandWriter]:
    """Return a writer of class probabilities (C, h, w), one band per class; works as ``confidence_writer``."""
    style = BandStyle(PROBABILITIES, descriptions=legend.names, overviews="AVERAGE", tags={}, scale=1 / STEPS)
    return cog_writer(path, info, style, overwrite=overwrite, like=like, mask=mask)


def set_size_writer(
    path: Path,
    info: RasterInfo,
    *,
    overwrite: bool,
    like: RasterInfo | None = None,
    mask: PixelSource | None = None,
) -> AbstractContextManager[BandWriter]:
    """Return a writer of the number of classes in conformal sets (h, w), uint8; works as ``confidence_writer``."""
    style = BandStyle(CONFORMAL, descriptions=("classes in the conformal set",), overviews="MODE", tags={})
    return cog_writer(path, info, style, overwrite=overwrite, like=like, mask=mask)


def read_class_map(path: Path) -> tuple[NDArray[np.uint8], RasterInfo, Legend | None]:
    """Read a complete class map.

    Returns:
        Class ids (H, W), 255 where there is none; what the raster is; and the legend of the classes that the file
        names, or None if it names none. Maps of other programs may number their classes in any way.

    Raises:
        RasterError: The file cannot be read or is not a map of class ids.
        LegendError: It holds a value that is no class of its own legend.
    """
    path = Path(path)
    legend, table = read_legend_and_values(path)
    class_ids, info = read_class_ids(path)
    if legend is None:
        return class_ids, info, None
    return named_class_ids(class_ids, legend, table, path=path), info, legend


def named_class_ids(
    class_ids: NDArray[np.uint8], legend: Legend, table: NDArray[np.uint8], *, path: Path
) -> NDArray[np.uint8]:
    """Return the class ids of stored values, by the table (256,) of :func:`read_legend_and_values`; unsure pixels: 255.

    Raises:
        LegendError: A value has no class.
    """
    unnamed = np.flatnonzero(
        np.bincount(class_ids.ravel(), minlength=256)[:UNLABELLED] * (table[:UNLABELLED] == UNLABELLED)
    )
    if unnamed.tolist() == [UNSURE] and _has_abstained(path):
        return table[class_ids]
    if len(unnamed):
        raise LegendError(
            "the map has values without a class name",
            where=path,
            expected=", ".join(
                f"{value} = {legend.names[k]}" for value, k in enumerate(table) if k != UNLABELLED
            ),
            got=", ".join(map(str, unnamed)),
        )
    return table[class_ids]


def _has_abstained(path: Path) -> bool:
    with open_upright(path) as dataset:
        return ABSTAINED_TAG in dataset.tags()


def read_map_legend(path: Path) -> Legend | None:
    """Return the legend in a raster's class names, or None without class names.

    Raises:
        RasterError: The file cannot be read.
    """
    return read_legend_and_values(Path(path))[0]


def read_legend_and_values(path: Path) -> tuple[Legend | None, NDArray[np.uint8]]:
    """Return the legend in a raster's class names, or None, and the class id of each value (256,), 255 for none.

    Raises:
        RasterError: The file cannot be read.
    """
    with open_upright(path) as dataset:
        has_colors = dataset.colorinterp[0] is ColorInterp.palette
        return legend_of_names(class_names(dataset, path), dataset.colormap(1) if has_colors else None)


def origin_tags(model: Mapping[str, Any], places: TrainingPlaces | None) -> dict[str, str]:
    """Return map tags with the model and the locations of its training points."""
    tags = {MODEL_TAG: json.dumps(model, ensure_ascii=False)}
    return tags if places is None else {**tags, PLACES_TAG: json.dumps(places.to_record())}


def read_origin(path: Path) -> tuple[dict[str, Any] | None, TrainingPlaces | None]:
    """Read the model and the locations of its training points from the tags of a map; None if missing.

    Raises:
        RasterError: The file cannot be read, or these tags are damaged.
    """
    with open_upright(path) as dataset:
        tags = dataset.tags()
    try:
        model = json.loads(tags[MODEL_TAG]) if MODEL_TAG in tags else None
        places = read_places(json.loads(tags[PLACES_TAG])) if PLACES_TAG in tags else None
    except ValueError as error:
        raise RasterError("the model tags of the map are damaged", where=path) from error
    return model, places
