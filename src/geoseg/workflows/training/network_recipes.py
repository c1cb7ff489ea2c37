"""Recipes that train all of DeepLabV3, with torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from geoseg.domain.blocks import cell_numbers
from geoseg.domain.points import CHECK
from geoseg.learning.calibration import HeldOut
from geoseg.learning.features.reading import draw_unlabelled, sort_by_cell
from geoseg.networks.features.extractors import read_logits
from geoseg.networks.fitting.head_initialisation import can_init_head, init_head
from geoseg.networks.fitting.loop import EpochRecord, FitPlan, InitialState, fit
from geoseg.networks.models.deeplab import build_network, split_parameters
from geoseg.networks.prediction.exporting import to_inference_graph
from geoseg.workflows.training.holding_out import describe_blocks
from geoseg.workflows.training.initial_weights import load_initial_weights
from geoseg.workflows.training.job import Job, Trained, calibrate_logits, identity


@dataclass(frozen=True)
class Schedule:
    """Defaults of a recipe for unset options; fields as in :class:`FitPlan`."""

    epochs: int
    patches: int
    batch: int
    head_rate: float
    backbone_rate: float


PFCE_SCHEDULE = Schedule(epochs=25, patches=0, batch=8, head_rate=1e-4, backbone_rate=1e-5)


def pfce(job: Job) -> Trained:
    """Fine-tune DeepLabV3 with partial focal cross-entropy at the points; held-out points choose the epoch."""
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
    held_out, unlabelled = _read_held_out(job, network)
    calibration, prior = calibrate_logits(job, held_out, unlabelled)
    chosen = fitted.history[fitted.best_epoch - 1]
    return Trained(
        "pfce",
        to_inference_graph(network, job.architecture.bands),
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
        held_out,
    )


def full(job: Job) -> Trained:
    """Fine-tune DeepLabV3 as in :func:`pfce`, with cross-entropy on the complete masks (full supervision)."""
    settings = job.settings.model_copy(update={"gamma": 0.0, "prior": "none"})
    trained = pfce(replace(job, settings=settings))
    own = {"settings": settings.model_dump(mode="json")}
    return replace(trained, recipe="full", training={**trained.training, **own})


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


def _read_held_out(job: Job, network: nn.Module) -> tuple[HeldOut | None, NDArray[np.floating] | None]:
    """Return the logits of a network at its held-out points and at random unlabelled pixels, or None of either."""
    data = job.data
    checks = data.points.with_role(CHECK).with_positive_weight()
    if not len(checks):
        return None, None
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    checks = sort_by_cell(checks, job.reader.patch_px)
    blocks = job.training_data.blocks
    places = cell_numbers(checks, blocks.block_px if blocks else job.reader.patch_px)
    how: dict[str, Any] = {
        "reader": job.reader,
        "is_bf16": job.precision == "bf16",
        "progress": job.progress,
    }
    held_out = read_logits(network, checks, data, **how)
    unlabelled = None
    if job.settings.prior != "none":
        pixels = draw_unlabelled(data.sizes, job.reader.square_px, job.settings.seed)
        found = read_logits(network, pixels, data, **how)
        unlabelled = found.take(found.valid).values
    return HeldOut(held_out.values, held_out.label, held_out.weight, places), unlabelled
