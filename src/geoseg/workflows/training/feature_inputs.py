"""Decide whether the rasters of a training hold features, and check that they lie in one feature space."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.errors import RasterError, SettingsError
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.settings import TrainSettings
from geoseg.workflows.inputs import describe_all


def find_feature_space(images: Mapping[str, Path], settings: TrainSettings) -> FeatureSpace | None:
    """Return the feature space of the rasters, or None if they are trained on as images.

    With ``input`` "auto" they hold features if all of them are embeddings by their files, and no recipe is chosen.

    Raises:
        RasterError: A raster cannot be read, its values are quantised by an unknown rule, or the rasters lie in different
            spaces.
        SettingsError: A head is chosen for images.
    """
    if settings.input == "image" or settings.recipe != "auto":
        return None
    infos = list(describe_all(images).values())
    if settings.input == "auto" and not all(info.feature_space for info in infos):
        if settings.head != "auto":
            raise SettingsError(
                "heads are for rasters of features, and these are taken for images",
                where="--head",
                got=settings.head,
                hint="If they hold features, add --input features.",
            )
        return None
    spaces = {info.path: _space_of(info) for info in infos}
    (first, space), *others = spaces.items()
    for path, other in others:
        if space.differs_from(other) or not space.is_known_as_well_as(other):
            raise RasterError(
                "the rasters hold different features, whose vectors cannot be compared",
                where=path,
                expected=f"{space.describe()}, as {first}",
                got=other.describe(),
                hint="Train on rasters of one dataset and one version.",
            )
    return space


def _space_of(info: RasterInfo) -> FeatureSpace:
    if info.feature_space is None and np.dtype(info.dtype) == np.int8:
        raise RasterError(
            "these features are quantised to int8 by a rule that is not known",
            where=info.path,
            expected="values as numbers that can be compared, such as float32",
            got=f"{info.bands} bands of int8",
            hint="Convert them to float32 by the rule of the dataset first.",
        )
    return info.feature_space or FeatureSpace(info.bands)
