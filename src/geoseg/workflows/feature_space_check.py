"""Check that a raster holds vectors of the feature space that a model was trained on."""

from __future__ import annotations

from pathlib import Path

from geoseg.domain.feature_spaces import FeatureSpace
from geoseg.domain.ports import Progress
from geoseg.errors import RasterError
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.learning.model_record import ModelRecord


def check_feature_space(info: RasterInfo, record: ModelRecord, where: Path) -> None:
    """Check that a raster can hold the features of a model.

    Args:
        info: The raster.
        record: The model; models of images pass.
        where: The model file, for the error.

    Raises:
        RasterError: Number of bands, dataset or version differ.
    """
    trained = record.feature_space
    if trained is None or not trained.differs_from(found := _space_of(info)):
        return
    if found.bands != trained.bands:
        what = "this raster has another number of bands than the features that the model was trained on"
    else:
        what = "this raster holds other features than the model was trained on"
    raise RasterError(
        what,
        where=info.path,
        expected=f"{trained.describe()} ({where.name})",
        got=found.describe(),
        hint="Vectors of different datasets or versions cannot be compared: train a model on rasters like this one.",
    )


def warn_of_feature_space(info: RasterInfo, record: ModelRecord, progress: Progress) -> None:
    """Warn if the dataset or version of the features is known for only one of raster and model."""
    trained, found = record.feature_space, _space_of(info)
    if trained is not None and not trained.is_known_as_well_as(found):
        progress.warn(
            f"{info.path.name} holds {found.describe()}; the model was trained on {trained.describe()}. Make sure that both "
            "come from the same network and version: other vectors give a meaningless map."
        )


def _space_of(info: RasterInfo) -> FeatureSpace:
    return info.feature_space or FeatureSpace(info.bands)
