"""The data of an experiment: found, read through and hashed before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.ports import Progress
from geoseg.domain.windows import strips
from geoseg.errors import DatasetError, LegendError, RasterError
from geoseg.geodata.reading.rasters import Validity, describe_raster, open_raster
from geoseg.settings import ExperimentSettings, TrainingOptions
from geoseg.workflows.inputs import Inputs, find_inputs

_STRIP_PX = 256


@dataclass(frozen=True)
class ExperimentData:
    """What an experiment trains on and scores on, its legend, and the SHA-256 of the labels of both."""

    trained_on: Inputs
    tested: Inputs
    legend: Legend
    train_truth_sha256: str
    truth_sha256: str


def read_data(settings: ExperimentSettings, progress: Progress) -> ExperimentData:
    """Find both splits, and read their masks and as much of their images as tells that they can be used.

    Raises:
        DatasetError: The folder, a list, an image or a mask is missing, or the masks of a split label nothing.
        RasterError: An image is all nodata, or an image or a mask cannot be read, or they are not of one size.
        LegendError: There is no legend, or a mask has a class that it lacks.
    """
    tested = _find(settings, settings.test_split)
    if tested.legend is None:
        raise LegendError("this folder has no legend", where=settings.data, expected="legend.json")
    trained_on = _find(settings, settings.train_split)
    masks = settings.data / "masks"
    progress.start("Reading masks", len(tested.images) + len(trained_on.images))
    truth = _digest(tested, tested.legend, masks, what="score by", progress=progress)
    train_truth = _digest(trained_on, tested.legend, masks, what="train on", progress=progress)
    trained_on.report_masks(progress)
    tested.report_masks(progress)
    _check_images([*trained_on.images.values(), *tested.images.values()], settings.training)
    return ExperimentData(trained_on, tested, tested.legend, train_truth, truth)


def _find(settings: ExperimentSettings, split: str) -> Inputs:
    return find_inputs(
        settings.data, split=split, legend=None, masks_needed=True, mask_values=settings.mask_values
    )


def _digest(inputs: Inputs, legend: Legend, where: Path, *, what: str, progress: Progress) -> str:
    """Read all masks of a split, make sure that they label something, and return their SHA-256."""
    found, labelled = sha256(), 0
    for name, path in inputs.images.items():
        truth = inputs.read_truth(name, legend, describe_raster(path))
        labelled += int((truth != UNLABELLED).sum())
        found.update(truth.tobytes())
        progress.advance()
    if not labelled:
        got = f"255 in {', '.join(inputs.images)}"
        raise DatasetError(f"the masks to {what} label nothing", where=where, got=got)
    return found.hexdigest()


def _check_images(images: Sequence[Path], training: TrainingOptions) -> None:
    """Make sure that no image is all nodata; of others only the first strips are read."""
    validity = Validity(training.nodata, training.strict_nodata)
    for path in images:
        with open_raster(path, bands=training.bands, validity=validity) as raster:
            windows = strips(raster.height, raster.width, _STRIP_PX)
            if not any(raster.read(window)[1].any() for window in windows):
                raise RasterError(
                    "the image is all nodata",
                    where=path,
                    hint="Take it off the lists, or mend its nodata value.",
                )
