"""Input and result of a recipe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Progress
from geoseg.geodata.reading.identity import raster_identity
from geoseg.learning.architecture import Architecture
from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.features.reading import Extract, FitData, Reader, context_around
from geoseg.learning.heads.logistic import Probe
from geoseg.learning.model_file import InferenceGraph
from geoseg.settings import TrainSettings
from geoseg.workflows.devices import choose_device, choose_precision
from geoseg.workflows.training.calibration import calibrate
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.training_data import TrainingData

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from geoseg.networks.fitting.loop import EpochRecord


# Settings that do not affect the fit; the prior is corrected afterwards.
NOT_IN_IDENTITY = {
    *("resume", "overwrite", "output", "device", "processes", "prior", "data", "points", "mask_values"),
    *("cache", "keep_features", "cache_gib", "minutes"),
}
DEFAULT_BATCH = 8


@dataclass(frozen=True)
class Job:
    """Input of a recipe; ``fabric`` connects the processes of a distributed training."""

    settings: TrainSettings
    training_data: TrainingData
    folder: RunFolder
    progress: Progress
    fabric: Fabric | None = None

    @property
    def data(self) -> FitData:
        """Rasters, normalisation, and all points including check points."""
        return self.training_data.data

    @property
    def fit_data(self) -> FitData:
        """The data with the points to fit to: role train and a weight above 0."""
        return self.training_data.fit_data

    @property
    def device(self) -> str:
        """Device to train on."""
        return choose_device(self.settings.device)

    @property
    def precision(self) -> Literal["float32", "bf16"]:
        """Floating-point precision."""
        return choose_precision(self.settings.precision, self.device)

    @property
    def architecture(self) -> Architecture:
        """DeepLabV3 according to the settings."""
        return Architecture(
            backbone=self.settings.network.backbone,
            bands=self.data.normalisation.channels,
            indices=len(self.data.normalisation.indices),
            classes=len(self.training_data.legend),
            patch_px=self.settings.patch,
            output_stride=self.settings.output_stride,
            block_style=self.settings.block_style,
        )

    @property
    def is_of_features(self) -> bool:
        """Whether the rasters hold features, which are classified as they are."""
        return self.training_data.feature_space is not None

    @property
    def reader(self) -> Reader:
        """Reader of grid cells with context."""
        patch = self.settings.patch
        # On a CPU larger batches do not fit the cache and are slower.
        batch = 1 if self.device == "cpu" else self.settings.batch or DEFAULT_BATCH
        return Reader(patch, context_around(patch), batch)


@dataclass(frozen=True)
class Trained:
    """Result of a recipe: network, calibration and training history.

    Attributes:
        recipe: Name of the recipe.
        network: The network.
        architecture: Architecture of the network.
        calibration: Converts the logits to probabilities.
        summary: One-line summary.
        training: Entries for the training record, in addition to settings and points; JSON values.
        history: The epochs; empty for recipes without epochs.
        held_out: Logits at held-out points; None if no point was held out.
    """

    recipe: str
    network: InferenceGraph
    architecture: Architecture
    calibration: Calibration
    summary: str
    training: Mapping[str, Any]
    history: tuple[EpochRecord, ...] = field(default=())
    held_out: HeldOut | None = None


@dataclass(frozen=True)
class Layers:
    """The frozen features of :func:`quick`, before a head is fitted to them.

    Attributes:
        architecture: The network that the head will belong to.
        weights: Where the weights of the backbone come from, in one line.
        extract: Computes the features at points.
        key: Text that changes with the features.
        to_network: Returns the network with a head.
        has_small_field: Whether the features of a point depend on little more than the margin around a cell.
    """

    architecture: Architecture
    weights: str
    extract: Extract
    key: str
    to_network: Callable[[Probe], InferenceGraph]
    has_small_field: bool = False


def calibrate_logits(
    job: Job, held_out: HeldOut | None, unlabelled: NDArray[np.floating] | None
) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration of a network from its logits at held-out points and random pixels, and its record."""
    prior, progress = job.settings.prior, job.progress
    return calibrate(prior, job.training_data, held_out, unlabelled=unlabelled, progress=progress)


def identity(job: Job) -> dict[str, Any]:
    """Return the settings, precision, rasters and points that identify a run. The path of the point file is excluded."""
    chosen = job.settings.model_dump(mode="json", exclude=NOT_IN_IDENTITY)
    infos = job.training_data.rasters.infos
    return {
        **chosen,
        "precision": job.precision,
        "points_sha256": job.data.points.digest(),
        "legend": job.training_data.legend.to_records(),
        "rasters": {name: raster_identity(info.path) for name, info in infos.items()},
    }
