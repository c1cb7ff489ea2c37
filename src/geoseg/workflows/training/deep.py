"""The deep recipe: fine-tune the network of the quick recipe, with losses on unlabelled pixels too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import torch

from geoseg.domain.blocks import cell_numbers, find_blocks
from geoseg.domain.points import CHECK, Points
from geoseg.domain.ports import NullProgress
from geoseg.learning.calibration import Calibration, HeldOut, fit_temperature
from geoseg.learning.features.reading import sort_by_cell, subsample_points
from geoseg.learning.heads.quick import limit_views
from geoseg.learning.validation import Fold, spatial_folds
from geoseg.networks.features.extractors import read_logits
from geoseg.networks.fitting.checkpoints import Checkpoint
from geoseg.networks.fitting.loop import EpochRecord, FitPlan, InitialState, fit
from geoseg.networks.fitting.unlabelled_losses import UnlabelledLosses
from geoseg.networks.models.hypercolumns import freeze_early_stages
from geoseg.networks.models.rebuilding import rebuild_network
from geoseg.networks.prediction.exporting import to_inference_graph
from geoseg.workflows.training.job import Job, Layers, Trained, identity
from geoseg.workflows.training.network_recipes import Schedule, describe_epochs, fit_plan
from geoseg.workflows.training.recipes import fit_heads, load_layers

# From the ablation in docs/log-of-experiments.md; takes some minutes on two cores.
SCHEDULE = Schedule(epochs=12, patches=24, batch=4, head_rate=1e-4, backbone_rate=1e-4)
STRONG_COLOR = 0.6
CONFIDENT_FRACTION = 0.7
AFFINITY = 0.1
"""Weight of the pairwise term, as published."""
MIN_VALIDATION_POINTS = 30
"""Minimum number of held-out points to compare two fits or to calibrate one."""


def deep(job: Job) -> Trained:
    """Fit as in the quick recipe, then fine-tune the late stages of the backbone.

    Before the first step, the network gives the same map as quick. All points except existing check points are used for training;
    check points choose the epoch. The temperature is fitted again, because the weights have changed.
    """
    settings, layers = job.settings, load_layers(job)
    checkpoint = job.folder.begin(identity(job), resume=settings.resume, overwrite=settings.overwrite)
    trained = fine_tune(job, fit_heads(job, layers), checkpoint, after_epoch=job.folder.after_epoch)
    return recalibrate(job, trained, layers)


def recalibrate(job: Job, trained: Trained, layers: Layers, *, trial: TrialFit | None = None) -> Trained:
    """Fit the temperature of a fine-tuned network. The shift for the class prior stays as quick estimated it.

    Use the points of role check. If there are none, train a second network without the points of some blocks, and use
    those points.

    Args:
        job: The job.
        trained: The result of :func:`fine_tune`; a network that was not fine-tuned is returned unchanged.
        layers: The features.
        trial: An existing trial; None fits one.
    """
    if trained.recipe != "deep":
        return trained
    checks = job.data.points.with_role(CHECK).with_positive_weight()
    if len(checks):
        return with_temperature(trained, _logits_at(checks, trained, job))
    trial = trial or fit_trial(job, layers)
    if trial is None:
        job.progress.warn(
            f"Fewer than {MIN_VALIDATION_POINTS} points can be held out to calibrate deep, so it keeps the temperature of quick."
        )
        return replace(trained, training={**trained.training, "temperature_from": "quick"})
    return with_temperature(trained, trial.deep)


@dataclass(frozen=True)
class TrialFit:
    """Logits of quick and deep at held-out blocks, both fitted to the other blocks."""

    quick: HeldOut
    deep: HeldOut


def fit_trial(job: Job, layers: Layers) -> TrialFit | None:
    """Fit quick and deep to the points of about four fifths of the blocks, and return their logits at the others.

    Args:
        job: The job, whose points are split. The number of augmented views is the same as for all points.
        layers: The features.

    Returns:
        The logits, or None if fewer than 30 points can be held out.
    """
    data, settings = job.data, job.settings
    points = subsample_points(job.fit_data.points)
    fold = validation_fold(points, patch_px=settings.patch, seed=settings.seed)
    if fold is None:
        return None
    fitted, left = (points.take(part) for part in fold)
    views = limit_views(settings.views, len(job.fit_data.points))
    trial_job = replace(
        job,
        settings=settings.model_copy(update={"augmentations": views}),
        training_data=replace(job.training_data, data=replace(data, points=fitted)),
    )
    absent = absent_classes(data.points, data.classes) if settings.absent_classes else None
    job.progress.say(f"Fine-tuning on some of the blocks, to score it at {len(left)} points of the others.")
    started = fit_heads(replace(trial_job, progress=NullProgress()), layers)
    tuned = fine_tune(trial_job, started, absent=absent)
    return TrialFit(_logits_at(left, started, job), _logits_at(left, tuned, job))


def validation_fold(points: Points, *, patch_px: int, seed: int) -> Fold | None:
    """Return the indices of training and validation points.

    Of the folds with enough validation points, take the one with the most classes in them.
    """
    labels = points.class_id.astype(np.int64)
    folds = spatial_folds(labels, find_blocks(points, patch_px).numbers, seed=seed) or ()
    usable = [(fitted, left) for fitted, left in folds if len(left) >= MIN_VALIDATION_POINTS]
    return max(usable, key=lambda fold: len(np.unique(labels[fold[1]])), default=None)


def with_temperature(trained: Trained, held_out: HeldOut) -> Trained:
    """Return a network with the temperature that fits its held-out logits best."""
    calibration = replace(trained.calibration, temperature=fit_temperature(held_out))
    known = {"temperature_from": "held-out points", "points_calibrating": len(held_out.labels)}
    training = {**trained.training, **known}
    return replace(trained, calibration=calibration, training=training, held_out=held_out)


def _logits_at(points: Points, trained: Trained, job: Job) -> HeldOut:
    network = rebuild_network(trained.architecture, trained.network.tensors)
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    is_bf16 = job.precision == "bf16"
    read = read_logits(network, points, job.data, reader=job.reader, is_bf16=is_bf16)
    places = cell_numbers(sort_by_cell(points, job.reader.patch_px), job.reader.patch_px)
    return HeldOut(read.values, read.label, read.weight, places)


def fine_tune(
    job: Job,
    started: Trained,
    checkpoint: Checkpoint | None = None,
    *,
    absent: Mapping[str, tuple[bool, ...]] | None = None,
    after_epoch: Callable[[EpochRecord, Callable[[], bytes]], None] | None = None,
) -> Trained:
    """Fine-tune the result of the quick recipe.

    Args:
        job: The job, with the training points.
        started: The result of :func:`fit_heads`; it is not changed.
        checkpoint: The checkpoint to resume from.
        absent: For each image, which classes (C,) are absent. If None and the setting ``absent_classes`` is on: those
            without a point in the image.
        after_epoch: As in :func:`fit`.

    Returns:
        The fine-tuned network, still with the calibration of ``started``. If the loss rose, ``started`` itself.
    """
    start, plan = _prepare(job, started)
    if absent is not None and plan.unlabelled_losses is not None:
        plan = replace(plan, unlabelled_losses=replace(plan.unlabelled_losses, absent=absent))
    fitted = fit(
        replace(start, resume=checkpoint),
        job.data,
        plan,
        progress=job.progress,
        after_epoch=after_epoch,
    )
    start.network.load_state_dict(fitted.state)
    # The loss of a single epoch varies by 10 % and more, so compare the halves.
    losses = [record.loss for record in fitted.history]
    half = -(-len(losses) // 2)
    first, last = fmean(losses[:half]), fmean(losses[-half:])
    if last > first:
        job.progress.warn(
            f"The loss rose from {first:.3f} to {last:.3f}, so the result of quick is kept. "
            "Pretrained weights or a lower --backbone-rate may help."
        )
        failed = {**started.training, "epoch": 0, "history": describe_epochs(fitted.history)}
        return replace(started, training=failed, history=fitted.history)
    return replace(
        started,
        recipe="deep",
        network=to_inference_graph(start.network, started.architecture.bands),
        summary=f"{started.summary}; then epoch {fitted.best_epoch}, loss {losses[-1]:.4f}",
        training={
            **started.training,
            "epoch": fitted.best_epoch,
            "final_loss": losses[-1],
            "history": describe_epochs(fitted.history),
        },
        history=fitted.history,
        held_out=None,
    )


def estimate_fine_tuning_s(job: Job, started: Trained) -> float:
    """Return the estimated duration of :func:`fine_tune` in seconds, by timing the second of two steps."""
    start, plan = _prepare(job, started)
    trial = fit(
        start,
        job.fit_data,
        replace(plan, epochs=2, patches=plan.batch),
        progress=NullProgress(),
    )
    return trial.history[-1].seconds * plan.epochs * -(-plan.patches // plan.batch)


def _prepare(job: Job, started: Trained) -> tuple[InitialState, FitPlan]:
    """Return the start of the fine-tuning, a copy of the network, and its plan."""
    settings = job.settings
    network = rebuild_network(started.architecture, started.network.tensors).to(torch.device(job.device))
    unlabelled_losses = configure_unlabelled_losses(settings.losses, started.calibration)
    if settings.absent_classes:
        unlabelled_losses = replace(
            unlabelled_losses,
            absent=absent_classes(job.data.points, len(job.training_data.legend)),
        )
    teacher = copy.deepcopy(network).eval() if "self-training" in settings.losses else None
    plan = replace(fit_plan(job, SCHEDULE), unlabelled_losses=unlabelled_losses, has_fixed_norms=True)
    return InitialState(network, (freeze_early_stages(network), []), teacher=teacher), plan


def absent_classes(points: Points, classes: int) -> dict[str, tuple[bool, ...]]:
    """Return for each image with points whether each class (C,) has no point there.

    A missing point does not prove that the class is absent; the caller decides.
    """
    found = {}
    for image in np.unique(points.image):
        own = points.take(points.image == image)
        found[str(image)] = tuple((own.counts(classes) == 0).tolist())
    return found


def configure_unlabelled_losses(losses: Collection[str], calibration: Calibration) -> UnlabelledLosses:
    """Return the configuration of the losses on unlabelled pixels.

    Args:
        losses: Names of the losses, as in the settings.
        calibration: Converts the logits of the network to calibrated probabilities.
    """
    has_teacher = not {"self-training", "mean-teacher"}.isdisjoint(losses)
    return UnlabelledLosses(
        consistency=float(has_teacher),
        fraction=CONFIDENT_FRACTION if "class-thresholds" in losses else 1.0,
        has_rotations="rotations" in losses,
        color=STRONG_COLOR if has_teacher else UnlabelledLosses.color,
        has_cutmix="cutmix" in losses,
        growing=float("region-growing" in losses),
        affinity=AFFINITY * ("affinity" in losses),
        calibration=calibration,
    )
