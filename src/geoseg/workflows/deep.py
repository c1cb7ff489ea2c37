"""The deep recipe: a network that starts as the quick recipe's and learns from the pixels without labels too."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from statistics import fmean

import numpy as np
import torch

from geoseg.domain.points import Points
from geoseg.domain.ports import Silence
from geoseg.learning.calibration import Calibration
from geoseg.learning.checkpoints import Checkpoint
from geoseg.learning.fitting import EpochRecord, FitPlan, Start, fit
from geoseg.learning.guidance import Guidance
from geoseg.learning.layers import late_parameters
from geoseg.learning.model_file import build_any
from geoseg.workflows.recipes import (
    Job,
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
SUREST = 0.7


def deep(job: Job) -> Trained:
    """Fit as the quick recipe does, then fine-tune the late stages of its backbone.

    Its map at the start is quick's to the bit, and its calibration stays quick's. All points teach; only those that
    are held out already choose the epoch.
    """
    settings, layers = job.settings, load_layers(job)
    checkpoint = job.folder.begin(identity(job), resume=settings.resume, overwrite=settings.overwrite)
    return tune(job, fit_heads(job, layers), checkpoint, after_epoch=job.folder.after_epoch)


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
    """
    start, plan = _prepare(job, started)
    if absent is not None and plan.guidance is not None:
        plan = replace(plan, guidance=replace(plan.guidance, absent=absent))
    fitted = fit(
        replace(start, resume=checkpoint),
        job.material.data,
        plan,
        progress=job.progress,
        after_epoch=after_epoch,
    )
    # One epoch has too few patches to tell: its loss goes up and down by a tenth and more.
    losses = [record.loss for record in fitted.history]
    half = -(-len(losses) // 2)
    first, last = fmean(losses[:half]), fmean(losses[-half:])
    has_learnt = last <= first
    if not has_learnt:
        job.progress.warn(
            f"The loss rose from {first:.3f} to {last:.3f}, so the network stays as quick made it. "
            "Weights that are pretrained, or a lower --backbone-rate, may help."
        )
    return replace(
        started,
        recipe="deep",
        state=fitted.state if has_learnt else started.state,
        summary=f"{started.summary}; then epoch {fitted.best_epoch}, loss {losses[-1]:.4f}",
        training={
            **started.training,
            "epoch": fitted.best_epoch if has_learnt else 0,
            "final_loss": losses[-1],
            "history": describe_epochs(fitted.history),
        },
        history=fitted.history,
        held_out=None,
    )


def tuning_seconds(job: Job, started: Trained) -> float:
    """Return about how long :func:`tune` takes: two steps are made, of which the second is measured."""
    start, plan = _prepare(job, started)
    trial = fit(start, job.material.teaching, replace(plan, epochs=2, patches=plan.batch), progress=Silence())
    return trial.history[-1].seconds * plan.epochs * -(-plan.patches // plan.batch)


def _prepare(job: Job, started: Trained) -> tuple[Start, FitPlan]:
    """Return what to tune, tensors of its own, and how."""
    settings = job.settings
    own = {name: tensor.clone() for name, tensor in started.state.items()}
    network = build_any(started.architecture, own).to(torch.device(job.device))
    guidance = guide(settings.parts, started.calibration)
    if settings.absent:
        guidance = replace(
            guidance, absent=absent_classes(job.material.data.points, len(job.material.legend))
        )
    teacher = copy.deepcopy(network).eval() if "self-training" in settings.parts else None
    plan = replace(fit_plan(job, SCHEDULE), guidance=guidance, has_fixed_norms=True)
    return Start(network, (late_parameters(network), []), teacher=teacher), plan


def absent_classes(points: Points, classes: int) -> dict[str, tuple[bool, ...]]:
    """Return which classes have no point in each image that has points: that they are absent there is for others to say."""
    found = {}
    for image in np.unique(points.image):
        own = points.take(points.image == image)
        found[str(image)] = tuple((own.counts(classes) == 0).tolist())
    return found


def guide(parts: Collection[str], calibration: Calibration) -> Guidance:
    """Return the guidance that consists of these parts.

    Args:
        parts: Their names, as in the settings.
        calibration: What turns the network's logits into probabilities of the land.
    """
    has_teacher = not {"self-training", "mean-teacher"}.isdisjoint(parts)
    return Guidance(
        consistency=float(has_teacher),
        portion=SUREST if "thresholds" in parts else 1.0,
        has_turns="turns" in parts,
        color=STRONG_COLOR if has_teacher else Guidance.color,
        has_cutmix="cutmix" in parts,
        growing=float("growing" in parts),
        affinity=float("affinity" in parts),
        calibration=calibration,
    )
