"""Recipes that train a network from points, one function each."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from geoseg.domain.blocks import cell_numbers
from geoseg.domain.points import CHECK
from geoseg.domain.ports import Progress
from geoseg.geodata.reading.identity import raster_identity
from geoseg.learning.architecture import COLORS, Architecture
from geoseg.learning.cache_folder import GIB, MIB, default_cache
from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.networks.features.feature_cache import FeatureCache, digest
from geoseg.networks.features.point_features import (
    FitData,
    Reader,
    context_around,
    draw_unlabelled,
    read_logits,
    sort_by_cell,
    subsample_points,
)
from geoseg.networks.fitting.devices import choose_device, choose_precision
from geoseg.networks.fitting.loop import EpochRecord, FitPlan, InitialState, fit
from geoseg.networks.fitting.quick import fit_quick
from geoseg.networks.heads.forest import fit_forest
from geoseg.networks.models.hypercolumns import LayerNetwork, build_layer_network
from geoseg.networks.models.weights import WeightsReport
from geoseg.settings import TrainSettings
from geoseg.workflows.training.calibration import calibrate
from geoseg.workflows.training.holding_out import describe_blocks, report_blocks
from geoseg.workflows.training.initial_weights import load_initial_weights
from geoseg.workflows.training.run_folder import RunFolder
from geoseg.workflows.training.training_data import TrainingData

if TYPE_CHECKING:
    from lightning_fabric import Fabric


# Settings that do not affect the fit; the prior is corrected afterwards.
NOT_IN_IDENTITY = {
    *("resume", "overwrite", "output", "device", "processes", "prior", "data", "points", "mask_values"),
    *("cache", "keep_features", "cache_gib", "minutes"),
}


@dataclass(frozen=True)
class Schedule:
    """Defaults of a recipe for unset options; fields as in :class:`FitPlan`."""

    epochs: int
    patches: int
    batch: int
    head_rate: float
    backbone_rate: float


PFCE_SCHEDULE = Schedule(epochs=25, patches=0, batch=8, head_rate=1e-4, backbone_rate=1e-5)


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
        batch = 1 if self.device == "cpu" else self.settings.batch or PFCE_SCHEDULE.batch
        return Reader(patch, context_around(patch), batch, self.device, self.precision == "bf16")


@dataclass(frozen=True)
class Trained:
    """Result of a recipe: network weights, calibration and training history.

    Attributes:
        recipe: Name of the recipe.
        state: State dictionary of the network.
        architecture: Architecture of the network.
        calibration: Converts the logits to probabilities.
        summary: One-line summary.
        training: Entries for the training record, in addition to settings and points; JSON values.
        history: The epochs; empty for recipes without epochs.
        held_out: Logits at held-out points of the cross-validation; None without one.
    """

    recipe: str
    state: Mapping[str, Tensor]
    architecture: Architecture
    calibration: Calibration
    summary: str
    training: Mapping[str, Any]
    history: tuple[EpochRecord, ...] = field(default=())
    held_out: HeldOut | None = None


def pfce(job: Job) -> Trained:
    """Fine-tune DeepLabV3 with partial focal cross-entropy at the points; held-out points choose the epoch."""
    # torchvision takes seconds to import.
    from geoseg.networks.fitting.head_initialisation import can_init_head, init_head
    from geoseg.networks.models.deeplab import build_network, split_parameters

    settings, data = job.settings, job.data
    plan = fit_plan(job, PFCE_SCHEDULE)
    torch.manual_seed(settings.seed)
    network = build_network(job.architecture)
    report = load_initial_weights(network, job.architecture, job.settings.network, progress=job.progress)
    checkpoint = job.folder.begin(identity(job), resume=settings.resume, overwrite=settings.overwrite)
    if settings.head_start and can_init_head(network, data):
        plan = replace(plan, has_fixed_norms=True)
        if checkpoint is None:
            init_head(network, data, plan, missing=report.missing, progress=job.progress)
    fitted = fit(
        InitialState(network, split_parameters(network, report.missing), checkpoint),
        data,
        plan,
        progress=job.progress,
        after_epoch=job.folder.after_epoch,
        fabric=job.fabric,
    )
    network.load_state_dict(fitted.state)
    calibration, prior = _calibrate_network(job, network)
    chosen = fitted.history[fitted.best_epoch - 1]
    return Trained(
        "pfce",
        fitted.state,
        job.architecture,
        calibration,
        f"weights of epoch {fitted.best_epoch}, loss {chosen.loss:.4f}",
        {
            "epoch": fitted.best_epoch,
            "points_used": len(data.points),
            "final_loss": fitted.history[-1].loss,
            "history": describe_epochs(fitted.history),
            "weights": report.describe(),
            "prior": prior,
            **describe_blocks(job.training_data.blocks),
        },
        fitted.history,
    )


def full(job: Job) -> Trained:
    """Fine-tune DeepLabV3 as in :func:`pfce`, with cross-entropy on the complete masks (full supervision)."""
    settings = job.settings.model_copy(update={"gamma": 0.0, "prior": "none"})
    trained = pfce(replace(job, settings=settings))
    own = {"settings": settings.model_dump(mode="json")}
    return replace(trained, recipe="full", training={**trained.training, **own})


def quick(job: Job) -> Trained:
    """Fit a linear head to hypercolumns of a frozen backbone at the points."""
    settings, layers = job.settings, load_layers(job)
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    return fit_heads(job, layers)


class Layers(NamedTuple):
    """A hypercolumn network with the pretrained backbone, before its heads are fitted."""

    network: LayerNetwork
    architecture: Architecture
    weights: WeightsReport


def load_layers(job: Job) -> Layers:
    """Build the network of :func:`quick`, and load its weights."""
    settings = job.settings
    scales = (1, 2)[: settings.scales]
    has_texture = settings.texture
    if has_texture is None:
        has_more = len(job.training_data.rasters.bands) > COLORS or bool(settings.indices)
        has_texture = has_more and settings.network.weights != "none"
    architecture = replace(job.architecture, head="linear", scales=scales, has_texture=has_texture)
    if has_texture and architecture.backbone_bands < architecture.bands:
        job.progress.say(
            f"The backbone reads {architecture.backbone_bands} bands. Colour and texture of all {architecture.bands} bands and "
            "indices are added as separate features. With --no-texture the backbone reads all of them."
        )
    torch.manual_seed(settings.seed)
    network = build_layer_network(architecture)
    report = load_initial_weights(network, architecture, settings.network, progress=job.progress)
    return Layers(network, architecture, report)


def fit_heads(job: Job, layers: Layers) -> Trained:
    """Fit the heads of :func:`quick`. The weights must be loaded and the run folder prepared."""
    settings, data = job.settings, job.fit_data
    network, architecture, report = layers
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    cache = _feature_cache(job, network, architecture) if settings.keep_features else None
    fitted = fit_quick(
        network,
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
    calibration, prior = _calibrate(job, validation.held_out, fitted.unlabelled)
    tried = {str(ridge): loss for ridge, loss in validation.losses.items()}
    left_out = tried.get(str(validation.inverse_ridge))
    return Trained(
        "quick",
        network.state_dict(),
        architecture,
        calibration,
        f"loss {fitted.loss:.4f}" + (f", {left_out:.4f} at held-out points" if left_out else ""),
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "inverse_ridge": validation.inverse_ridge,
            "left_out_losses": tried,
            "weights": report.describe(),
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
    calibration, prior = _calibrate(job, fitted.held_out, fitted.unlabelled)
    return Trained(
        "forest",
        fitted.network.state_dict(),
        replace(job.architecture, head="forest"),
        calibration,
        f"{len(fitted.network.get_buffer('roots'))} trees, loss {fitted.loss:.4f}",
        {
            "final_loss": fitted.loss,
            "points_used": len(subsample_points(data.points)),
            "history": [],
            "prior": prior,
            **describe_blocks(fitted.blocks),
        },
        held_out=fitted.held_out,
    )


def _feature_cache(job: Job, network: LayerNetwork, architecture: Architecture) -> FeatureCache:
    """Return the feature cache for this network and these rasters."""
    settings, rasters = job.settings, job.training_data.rasters
    read = digest(network.backbone, replace(architecture, classes=1), job.reader, job.data.normalisation)
    return FeatureCache(
        folder=settings.cache or default_cache(),
        rasters={name: repr(raster_identity(info.path)) for name, info in rasters.infos.items()},
        network=f"{read} {rasters.bands} {rasters.validity}",
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


def _calibrate_network(job: Job, network: nn.Module) -> tuple[Calibration, dict[str, Any]]:
    """Calibrate a network on its held-out points and on random unlabelled pixels."""
    data = job.data
    checks = data.points.with_role(CHECK).with_positive_weight()
    if not len(checks):
        return _calibrate(job, None, None)
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    checks = sort_by_cell(checks, job.reader.patch_px)
    blocks = job.training_data.blocks
    places = cell_numbers(checks, blocks.block_px if blocks else job.reader.patch_px)
    held_out = read_logits(network, checks, data, reader=job.reader, progress=job.progress)
    unlabelled = None
    if job.settings.prior != "none":
        pixels = draw_unlabelled(data.sizes, job.reader.patch_px, job.settings.seed)
        found = read_logits(network, pixels, data, reader=job.reader, progress=job.progress)
        unlabelled = found.take(found.valid).values.numpy()
    logits = HeldOut(held_out.values.numpy(), held_out.label.numpy(), held_out.weight.numpy(), places)
    return _calibrate(job, logits, unlabelled)


def _calibrate(
    job: Job, held_out: HeldOut | None, unlabelled: NDArray[np.floating] | None
) -> tuple[Calibration, dict[str, Any]]:
    """Return the calibration of a network from its logits at held-out points and random pixels, and its record."""
    prior, progress = job.settings.prior, job.progress
    return calibrate(prior, job.training_data, held_out, unlabelled=unlabelled, progress=progress)


def describe_epochs(history: Sequence[EpochRecord]) -> list[dict[str, Any]]:
    """Return the epochs as JSON values."""
    return [{k: v for k, v in asdict(r).items() if math.isfinite(v)} for r in history]


def fit_plan(job: Job, schedule: Schedule) -> FitPlan:
    """Return the plan of a fit from the settings, with the schedule of the recipe for unset options."""
    settings = job.settings
    return FitPlan(
        epochs=settings.epochs or schedule.epochs,
        patches=settings.patches or schedule.patches,
        batch=settings.batch or schedule.batch,
        patch_px=settings.patch,
        gamma=settings.gamma,
        head_rate=settings.head_rate or schedule.head_rate,
        backbone_rate=settings.backbone_rate or schedule.backbone_rate,
        seed=settings.seed,
        device=job.device,
        precision=job.precision,
    )


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
