"""Find, check and hash the data of an experiment before the first run."""

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
    """Training and test data of an experiment, their legend, and the SHA-256 of their masks."""

    train: Inputs
    test: Inputs
    legend: Legend
    train_truth_sha256: str
    truth_sha256: str


def read_data(settings: ExperimentSettings, progress: Progress) -> ExperimentData:
    """Find both splits, read their masks, and read each image up to its first valid pixels.

    Raises:
        DatasetError: The folder, a list, an image or a mask is missing, or all masks of a split are unlabelled.
        RasterError: An image or mask cannot be read, they differ in size, or an image is all nodata.
        LegendError: The folder has no legend, or a mask has a class that the legend lacks.
    """
    test = _find(settings, settings.test_split)
    if test.legend is None:
        raise LegendError("this folder has no legend", where=settings.data, expected="legend.json")
    train = _find(settings, settings.train_split)
    masks = settings.data / "masks"
    progress.start("Reading masks", len(test.images) + len(train.images))
    truth = _digest(test, test.legend, masks, split="test", progress=progress)
    train_truth = _digest(train, test.legend, masks, split="training", progress=progress)
    train.report_masks(progress)
    test.report_masks(progress)
    _check_images([*train.images.values(), *test.images.values()], settings.training)
    return ExperimentData(train, test, test.legend, train_truth, truth)


def _find(settings: ExperimentSettings, split: str) -> Inputs:
    return find_inputs(
        settings.data, split=split, legend=None, masks_needed=True, mask_values=settings.mask_values
    )


def _digest(inputs: Inputs, legend: Legend, where: Path, *, split: str, progress: Progress) -> str:
    """Read all masks of a split, check that they have a labelled pixel, and return their SHA-256."""
    digest, labelled = sha256(), 0
    for name, path in inputs.images.items():
        truth = inputs.read_truth(name, legend, describe_raster(path))
        labelled += int((truth != UNLABELLED).sum())
        digest.update(truth.tobytes())
        progress.advance()
    if not labelled:
        got = f"255 in {', '.join(inputs.images)}"
        hint = "Label some pixels, or list other images in the split."
        raise DatasetError(f"the {split} masks have no labelled pixel", where=where, got=got, hint=hint)
    return digest.hexdigest()


def _check_images(images: Sequence[Path], training: TrainingOptions) -> None:
    """Check that no image is all nodata. Reading stops at the first strip with a valid pixel."""
    validity = Validity(training.nodata, training.strict_nodata)
    for path in images:
        with open_raster(path, bands=training.bands, validity=validity) as raster:
            windows = strips(raster.height, raster.width, _STRIP_PX)
            if not any(raster.read(window)[1].any() for window in windows):
                raise RasterError(
                    "the image is all nodata",
                    where=path,
                    hint="Remove it from the split lists, or correct its nodata value.",
                )
