"""Recipes that fit a head to frozen features, without torch where the bundled backbone computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Progress
from geoseg.geodata.reading.identity import raster_identity
from geoseg.inference.graphs.layers import LayerPlan, feature_graph, linear_graph
from geoseg.inference.graphs.trees import forest_graph
from geoseg.learning.architecture import COLORS, LIGHT_BACKBONE, Architecture
from geoseg.learning.cache_folder import GIB, MIB, default_cache
from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.feature_cache import FeatureCache
from geoseg.learning.features.reading import Extract, FitData, Reader, context_around, subsample_points
from geoseg.learning.heads.forest import fit_forest
from geoseg.learning.heads.logistic import Probe
from geoseg.learning.heads.quick import fit_quick
from geoseg.learning.model_file import InferenceGraph, inference_graph
from geoseg.settings import TrainSettings
from geoseg.workflows.devices import choose_device, choose_precision, has_torch
from geoseg.workflows.training.calibration import calibrate
from geoseg.workflows.training.holding_out import describe_blocks, report_blocks
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
        held_out: Logits at held-out points of the cross-validation; None without one.
    """

    recipe: str
    network: InferenceGraph
    architecture: Architecture
    calibration: Calibration
    summary: str
    training: Mapping[str, Any]
    history: tuple[EpochRecord, ...] = field(default=())
    held_out: HeldOut | None = None


def quick(job: Job) -> Trained:
    """Fit a linear head to hypercolumns of a frozen backbone at the points."""
    settings, layers = job.settings, load_layers(job)
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    return fit_heads(job, layers)


@dataclass(frozen=True)
class Layers:
    """The frozen features of :func:`quick`, before a head is fitted to them.

    Attributes:
        architecture: The network that the head will belong to.
        weights: Where the weights of the backbone come from, in one line.
        extract: Computes the features at points.
        key: Text that changes with the features.
        to_network: Returns the network with a head.
    """

    architecture: Architecture
    weights: str
    extract: Extract
    key: str
    to_network: Callable[[Probe], InferenceGraph]


def load_layers(job: Job) -> Layers:
    """Return the features of :func:`quick`: of ONNX Runtime for the bundled backbone on a CPU, otherwise of torch."""
    architecture, start = layer_architecture(job), job.settings.network
    is_light = start.backbone == LIGHT_BACKBONE and start.weights == "bundled"
    if is_light and (job.device == "cpu" or not has_torch()):
        return _light_layers(job, architecture)
    from geoseg.workflows.training.network_layers import load_network_layers

    return load_network_layers(job, architecture)


def layer_architecture(job: Job) -> Architecture:
    """Return the architecture of :func:`quick` according to the settings and the bands."""
    settings = job.settings
    has_texture = settings.texture
    if has_texture is None:
        has_more = len(job.training_data.rasters.bands) > COLORS or bool(settings.indices)
        has_texture = has_more and settings.network.weights != "none"
    scales = (1, 2)[: settings.scales]
    architecture = replace(job.architecture, head="linear", scales=scales, has_texture=has_texture)
    if has_texture and architecture.backbone_bands < architecture.bands:
        job.progress.say(
            f"The backbone reads {architecture.backbone_bands} bands. Colour and texture of all {architecture.bands} bands and "
            "indices are added as separate features. With --no-texture the backbone reads all of them."
        )
    return architecture


def _light_layers(job: Job, architecture: Architecture) -> Layers:
    plan = LayerPlan(
        channels=architecture.bands,
        backbone_bands=architecture.backbone_bands,
        scales=architecture.scales,
        has_texture=architecture.has_texture,
    )
    extract = GraphExtractor(feature_graph(plan))
    weights = f"Weights: bundled, of {LIGHT_BACKBONE} trained on ImageNet."
    job.progress.say(weights)
    return Layers(
        architecture,
        weights,
        extract,
        extract.digest,
        lambda probe: inference_graph(linear_graph(plan, probe.weight, probe.bias)),
    )


def fit_heads(job: Job, layers: Layers) -> Trained:
    """Fit the heads of :func:`quick`. The run folder must be prepared."""
    settings, data = job.settings, job.fit_data
    cache = _feature_cache(job, layers) if settings.keep_features else None
    fitted = fit_quick(
        layers.extract,
        data,
        replace(job.reader, views=settings.augmentations),
        seed=settings.seed,
        cache=cache,
        progress=job.progress,
    )
    if cache is not None:
        _report_cache(cache, job.progress)
    validation = fitted.validation
    report_blocks(fitted.blocks, job.progress)
    calibration, prior = calibrate_logits(job, validation.held_out, fitted.unlabelled)
    tried = {str(ridge): loss for ridge, loss in validation.losses.items()}
    left_out = tried.get(str(validation.inverse_ridge))
    return Trained(
        "quick",
        layers.to_network(fitted.probe),
        layers.architecture,
        calibration,
        f"loss {fitted.loss:.4f}" + (f", {left_out:.4f} at held-out points" if left_out else ""),
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "inverse_ridge": validation.inverse_ridge,
            "left_out_losses": tried,
            "weights": layers.weights,
            "prior": prior,
            **describe_blocks(fitted.blocks),
        },
        held_out=validation.held_out,
    )


def forest(job: Job) -> Trained:
    """Fit a random forest to colour and texture at the points."""
    settings = job.settings
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    return fit_trees(job)


def fit_trees(job: Job) -> Trained:
    """Fit the trees of :func:`forest`. The run folder must be prepared."""
    settings, data = job.settings, job.fit_data
    fitted = fit_forest(data, job.reader, seed=settings.seed, progress=job.progress)
    calibration, prior = calibrate_logits(job, fitted.held_out, fitted.unlabelled)
    return Trained(
        "forest",
        inference_graph(forest_graph(fitted.trees, data.normalisation.channels)),
        replace(job.architecture, head="forest"),
        calibration,
        f"{len(fitted.trees)} trees, loss {fitted.loss:.4f}",
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "prior": prior,
            **describe_blocks(fitted.blocks),
        },
        held_out=fitted.held_out,
    )


def _feature_cache(job: Job, layers: Layers) -> FeatureCache:
    """Return the cache of these features of these rasters."""
    settings, rasters = job.settings, job.training_data.rasters
    how = f"{layers.key} {job.reader} {job.data.normalisation} {rasters.bands} {rasters.validity}"
    return FeatureCache(
        folder=settings.cache or default_cache(),
        rasters={name: repr(raster_identity(info.path)) for name, info in rasters.infos.items()},
        network=how,
        limit_bytes=int(settings.cache_gib * GIB),
    )


def _report_cache(cache: FeatureCache, progress: Progress) -> None:
    """Report the folder and size of the feature cache, unless it is empty."""
    used = cache.size_bytes()
    if used:
        progress.say(
            f"Features at the points are cached in {cache.folder} for the next training: {used / MIB:,.0f} MiB, "
            f"at most {cache.limit_bytes / GIB:g} GiB. To remove them, run: geoseg cache clear"
        )


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
