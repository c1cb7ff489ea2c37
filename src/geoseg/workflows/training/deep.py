"""The deep recipe: a network that starts as the quick recipe's and learns from the pixels without labels too."""

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
from geoseg.learning.validation import Fold, spatial_folds
from geoseg.networks.features.point_features import read_logits, sort_by_cell, subsample_points
from geoseg.networks.fitting.checkpoints import Checkpoint
from geoseg.networks.fitting.loop import EpochRecord, FitPlan, InitialState, fit
from geoseg.networks.fitting.quick import limit_views
from geoseg.networks.fitting.unlabelled_losses import UnlabelledLosses
from geoseg.networks.models.hypercolumns import late_parameters
from geoseg.networks.models.model_file import build_from_tensors
from geoseg.workflows.training.recipes import (
    Job,
    Layers,
    Schedule,
    Trained,
    describe_epochs,
    fit_heads,
    fit_plan,
    identity,
    load_layers,
)

# As in the ablation of docs/results.md: some minutes on two cores.
SCHEDULE = Schedule(epochs=12, patches=24, batch=4, head_rate=1e-4, backbone_rate=1e-4)
STRONG_COLOR = 0.6
CONFIDENT_FRACTION = 0.7
AFFINITY = 0.1
"""Weight of the pairwise term, as published."""
LEAST_JUDGING = 30
"""Points left out below which they cannot tell two fits apart, nor calibrate one."""


def deep(job: Job) -> Trained:
    """Fit as the quick recipe does, then fine-tune the late stages of its backbone.

    Its map at the start is quick's to the bit. All points teach; only those that are held out already choose the
    epoch. The confidence is calibrated anew, since the weights have changed.
    """
    settings, layers = job.settings, load_layers(job)
    checkpoint = job.folder.begin(identity(job), resume=settings.resume, overwrite=settings.overwrite)
    trained = tune(job, fit_heads(job, layers), checkpoint, after_epoch=job.folder.after_epoch)
    return recalibrate(job, trained, layers)


def recalibrate(job: Job, trained: Trained, layers: Layers, *, trial: HeldOutTrial | None = None) -> Trained:
    """Fit the temperature of a fine-tuned network; the shift for the class prior stays.

    The points are those of role check; else those that a trial leaves out, which a network trained alike did not see.

    Args:
        job: The job.
        trained: What :func:`tune` gave; a network that was not fine-tuned is returned as it is.
        layers: The network before heads are fitted.
        trial: A trial that was made already; None makes one.
    """
    if trained.recipe != "deep":
        return trained
    checks = job.training_data.data.points.with_role(CHECK).with_positive_weight()
    if len(checks):
        return with_temperature(trained, _logits_at(checks, trained, job))
    trial = trial or try_on_part(job, layers)
    if trial is None:
        job.progress.warn(
            f"Fewer than {LEAST_JUDGING} points can be left out to calibrate deep, so its confidence is that of quick."
        )
        return replace(trained, training={**trained.training, "temperature_from": "quick"})
    return with_temperature(trained, trial.deep)


@dataclass(frozen=True)
class HeldOutTrial:
    """Logits of quick and deep, fitted to part of the places, at the points of the others."""

    quick: HeldOut
    deep: HeldOut


def try_on_part(job: Job, layers: Layers) -> HeldOutTrial | None:
    """Fit quick and deep to the points of about four fifths of the places, and read their logits at the others.

    Args:
        job: The job; its points are divided. They are read in as many views as all points are.
        layers: The network before heads are fitted; it stays as it is.

    Returns:
        The logits, or None where fewer than 30 points can be left out.
    """
    data, settings = job.training_data.data, job.settings
    points = subsample_points(job.training_data.teaching.points)
    fold = judging_fold(points, patch_px=settings.patch, seed=settings.seed)
    if fold is None:
        return None
    fitted, left = (points.take(part) for part in fold)
    views = limit_views(settings.augmentations, len(job.training_data.teaching.points))
    apart = replace(
        job,
        settings=settings.model_copy(update={"views": views}),
        training_data=replace(job.training_data, data=replace(data, points=fitted)),
    )
    absent = absent_classes(data.points, data.classes) if settings.absent_classes else None
    job.progress.say(f"Fine-tuning on part of the places, to judge by {len(left)} points of the others.")
    own = layers._replace(network=copy.deepcopy(layers.network))
    started = fit_heads(replace(apart, progress=NullProgress()), own)
    tuned = tune(apart, started, absent=absent)
    return HeldOutTrial(_logits_at(left, started, job), _logits_at(left, tuned, job))


def judging_fold(points: Points, *, patch_px: int, seed: int) -> Fold | None:
    """Return which points to fit to and which to judge by: of the folds that leave enough out, the one of most classes."""
    labels = points.class_id.astype(np.int64)
    folds = spatial_folds(labels, find_blocks(points, patch_px).numbers, seed=seed) or ()
    usable = [(fitted, left) for fitted, left in folds if len(left) >= LEAST_JUDGING]
    return max(usable, key=lambda fold: len(np.unique(labels[fold[1]])), default=None)


def with_temperature(trained: Trained, held_out: HeldOut) -> Trained:
    """Return a network with the temperature that fits these logits of it best."""
    calibration = replace(trained.calibration, temperature=fit_temperature(held_out))
    known = {"temperature_from": "held-out points", "points_calibrating": len(held_out.labels)}
    return replace(trained, calibration=calibration, training={**trained.training, **known})


def _logits_at(points: Points, trained: Trained, job: Job) -> HeldOut:
    network = build_from_tensors(trained.architecture, trained.state)
    network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
    read = read_logits(network, points, job.training_data.data, reader=job.reader)
    places = cell_numbers(sort_by_cell(points, job.reader.patch_px), job.reader.patch_px)
    return HeldOut(read.values.numpy(), read.label.numpy(), read.weight.numpy(), places)


def tune(
    job: Job,
    started: Trained,
    checkpoint: Checkpoint | None = None,
    *,
    absent: Mapping[str, tuple[bool, ...]] | None = None,
    after_epoch: Callable[[EpochRecord, Callable[[], bytes]], None] | None = None,
) -> Trained:
    """Do what :func:`deep` does once the quick recipe is through.

    Args:
        job: The job; its points teach.
        started: What :func:`fit_heads` gave; it stays as it is.
        checkpoint: Where to go on from.
        absent: Which classes are absent in each image; None: those without a point, where the settings say so.
        after_epoch: As in :func:`fit`.

    Returns:
        The fine-tuned network, with the calibration of the start, which no longer fits it; what it started from where
        the loss rose.
    """
    start, plan = _prepare(job, started)
    if absent is not None and plan.unlabelled_losses is not None:
        plan = replace(plan, unlabelled_losses=replace(plan.unlabelled_losses, absent=absent))
    fitted = fit(
        replace(start, resume=checkpoint),
        job.training_data.data,
        plan,
        progress=job.progress,
        after_epoch=after_epoch,
    )
    # One epoch has too few patches to tell: its loss goes up and down by a tenth and more.
    losses = [record.loss for record in fitted.history]
    half = -(-len(losses) // 2)
    first, last = fmean(losses[:half]), fmean(losses[-half:])
    if last > first:
        job.progress.warn(
            f"The loss rose from {first:.3f} to {last:.3f}, so the network stays as quick made it. "
            "Weights that are pretrained, or a lower --backbone-rate, may help."
        )
        failed = {**started.training, "epoch": 0, "history": describe_epochs(fitted.history)}
        return replace(started, training=failed, history=fitted.history)
    return replace(
        started,
        recipe="deep",
        state=fitted.state,
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


def tuning_seconds(job: Job, started: Trained) -> float:
    """Return about how long :func:`tune` takes: two steps are made, of which the second is measured."""
    start, plan = _prepare(job, started)
    trial = fit(
        start,
        job.training_data.teaching,
        replace(plan, epochs=2, patches=plan.batch),
        progress=NullProgress(),
    )
    return trial.history[-1].seconds * plan.epochs * -(-plan.patches // plan.batch)


def _prepare(job: Job, started: Trained) -> tuple[InitialState, FitPlan]:
    """Return what to tune, tensors of its own, and how."""
    settings = job.settings
    own = {name: tensor.clone() for name, tensor in started.state.items()}
    network = build_from_tensors(started.architecture, own).to(torch.device(job.device))
    unlabelled_losses = guide(settings.losses, started.calibration)
    if settings.absent_classes:
        unlabelled_losses = replace(
            unlabelled_losses,
            absent=absent_classes(job.training_data.data.points, len(job.training_data.legend)),
        )
    teacher = copy.deepcopy(network).eval() if "self-training" in settings.losses else None
    plan = replace(fit_plan(job, SCHEDULE), unlabelled_losses=unlabelled_losses, has_fixed_norms=True)
    return InitialState(network, (late_parameters(network), []), teacher=teacher), plan


def absent_classes(points: Points, classes: int) -> dict[str, tuple[bool, ...]]:
    """Return which classes have no point in each image that has points: that they are absent there is for others to say."""
    found = {}
    for image in np.unique(points.image):
        own = points.take(points.image == image)
        found[str(image)] = tuple((own.counts(classes) == 0).tolist())
    return found


def guide(losses: Collection[str], calibration: Calibration) -> UnlabelledLosses:
    """Return the losses on unlabelled pixels of these names.

    Args:
        losses: Their names, as in the settings.
        calibration: What turns the network's logits into probabilities of the land.
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
