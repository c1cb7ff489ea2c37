"""The recipe that chooses among recipes, by points that they were not fitted to, and by the time there is."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from geoseg.domain.blocks import find_blocks
from geoseg.domain.points import Points
from geoseg.domain.ports import Silence
from geoseg.errors import TrainingError
from geoseg.learning.calibration import HeldOut
from geoseg.learning.choosing import Choice, Score, choose, score
from geoseg.learning.model_file import build_any
from geoseg.learning.quick import views_within
from geoseg.learning.reading import even_choice, read_logits
from geoseg.learning.validation import folds_by_place
from geoseg.workflows.deep import absent_classes, deep, tune, tuning_seconds
from geoseg.workflows.recipes import (
    Job,
    Layers,
    Trained,
    fit_heads,
    fit_trees,
    identity,
    load_layers,
)

LEAST_JUDGING = 30
"""Points left out below which they cannot tell two fits apart."""
_MINUTE = 60

Positions = NDArray[np.int64]


def auto(job: Job) -> Trained:
    """Try quick, forest and, where there is time, deep; keep what is better at points left out.

    The first two are compared by cross-validation over places. Where quick is the better one, deep is tried on four
    fifths of the places, judged at the others, and done on all where that is a gain.
    """
    settings, say = job.settings, job.progress.say
    if settings.resume and job.folder.checkpoint.exists():
        # Of the recipes tried here only deep leaves a checkpoint, once it was chosen.
        return _with_findings(deep(job), job.folder.read_findings())
    started, layers = time.monotonic(), load_layers(job)
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    say("Trying quick.")
    quick = fit_heads(job, layers)
    say("Trying forest.")
    tried = {one.recipe: one for one in (quick, fit_trees(job))}
    scores = {name: score(one.held_out) for name, one in tried.items() if one.held_out is not None}
    if len(scores) < len(tried):
        say("Keeping quick: the points are too few to leave any out and compare.")
        return quick
    choice = choose(scores)
    found: dict[str, Any] = {"chosen": choice.best, "as_well": choice.as_well, "scores": _plain(scores)}
    said = _describe("places left out", choice, scores)
    if choice.best != "quick":
        say(f"Keeping {said}")
        return _with_findings(tried[choice.best], found)
    say(f"Ahead is {said}")
    try:
        trial = _try_deep(job, quick, layers, spent_s=time.monotonic() - started)
        and_deep = {**found, **trial.describe()}
        if not trial.is_gain:
            say("Keeping quick.")
            return _with_findings(quick, and_deep)
        say("Keeping deep, now on all points.")
        job.folder.write_findings(and_deep)
        return _with_findings(tune(job, quick, after_epoch=job.folder.after_epoch), and_deep)
    except (TrainingError, torch.OutOfMemoryError) as error:
        job.progress.warn(f"Keeping quick, since deep came to no end: {error}")
        return _with_findings(quick, found)


@dataclass(frozen=True)
class Trial:
    """What became of trying deep: the minutes that it asks for, and the scores of quick and deep where it was tried."""

    minutes: float
    scores: Mapping[str, Score]

    @property
    def is_gain(self) -> bool:
        """Whether deep is better."""
        return bool(self.scores) and choose(self.scores).best == "deep"

    def describe(self) -> dict[str, Any]:
        """Return what the training record says of it."""
        own = {"deep": {"minutes": round(self.minutes, 1), "scores": _plain(self.scores)}}
        return {**own, "chosen": "deep", "as_well": choose(self.scores).as_well} if self.is_gain else own


def _try_deep(job: Job, quick: Trained, layers: Layers, *, spent_s: float) -> Trial:
    """Compare deep with quick at some of the places, where the time suffices for this and for deep on all points."""
    points = even_choice(job.material.teaching.points)
    fold = _judging_fold(points, job.settings.patch, job.settings.seed)
    if fold is None:
        job.progress.say(
            f"Not trying deep: fewer than {LEAST_JUDGING} points can be left out to judge it by."
        )
        return Trial(0.0, {})
    spent = spent_s / _MINUTE
    if spent >= job.settings.minutes:
        job.progress.say(f"Not trying deep: the {job.settings.minutes:g} minutes of --minutes are over.")
        return Trial(0.0, {})
    # Without features kept, quick reads its own once more.
    again = 0.0 if job.settings.keep_features else spent
    needed = again + 2 * tuning_seconds(job, quick) / _MINUTE
    if spent + needed > job.settings.minutes:
        job.progress.say(
            f"Not trying deep, which would take about {math.ceil(needed)} min more: "
            f"--minutes {math.ceil(spent + needed)} makes room for it."
        )
        return Trial(needed, {})
    job.progress.say(f"Trying deep on part of the places (about {math.ceil(needed)} min, if it is kept).")
    fitted, left = fold
    scores = _compare(job, layers, fitted=points.take(fitted), left=points.take(left))
    job.progress.say(f"Ahead is {_describe('this part', choose(scores), scores)}")
    return Trial(needed, scores)


def _judging_fold(points: Points, patch_px: int, seed: int) -> tuple[Positions, Positions] | None:
    """Return which points to fit to and which to judge by: of the folds that leave enough out, the one of most classes."""
    labels = points.class_id.astype(np.int64)
    folds = folds_by_place(labels, find_blocks(points, patch_px).numbers, seed=seed) or ()
    usable = [(fitted, left) for fitted, left in folds if len(left) >= LEAST_JUDGING]
    return max(usable, key=lambda fold: len(np.unique(labels[fold[1]])), default=None)


def _compare(job: Job, layers: Layers, *, fitted: Points, left: Points) -> dict[str, Score]:
    """Return the scores of quick and deep at points left out, fitted to others, which are read in as many views as all are."""
    data, settings = job.material.data, job.settings
    views = views_within(settings.views, len(job.material.teaching.points))
    apart = replace(
        job,
        settings=settings.model_copy(update={"views": views}),
        material=replace(job.material, data=replace(data, points=fitted)),
    )
    absent = absent_classes(data.points, data.classes) if settings.absent else None
    own = layers._replace(network=copy.deepcopy(layers.network))
    started = fit_heads(replace(apart, progress=Silence()), own)
    scores = {}
    for one in (started, tune(apart, started, absent=absent)):
        network = build_any(one.architecture, one.state)
        network.to(torch.device(job.device), memory_format=torch.channels_last)  # type: ignore[call-overload]
        read = read_logits(network, left, data, reader=job.reader)
        scores[one.recipe] = score(HeldOut(read.values.numpy(), read.label.numpy(), read.weight.numpy()))
    return scores


def _with_findings(trained: Trained, found: Mapping[str, Any]) -> Trained:
    return replace(trained, training={**trained.training, "auto": found})


def _plain(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    return {name: asdict(one) for name, one in scores.items()}


def _describe(where: str, choice: Choice, scores: Mapping[str, Score]) -> str:
    said = ", ".join(f"{name} {100 * s.miou:.1f} ± {100 * s.error:.1f} %" for name, s in scores.items())
    as_well = "".join(f" --recipe {name} would do as well." for name in choice.as_well)
    return f"{choice.best}: mean IoU at points of {where}, classes alike: {said}.{as_well}"
