"""The recipe that chooses among recipes, by points that they were not fitted to, and by the time there is."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch

from geoseg.errors import TrainingError
from geoseg.learning.recipe_choice import Choice, Score, choose, score
from geoseg.networks.features.point_features import subsample_points
from geoseg.workflows.training.deep import (
    LEAST_JUDGING,
    HeldOutTrial,
    deep,
    judging_fold,
    recalibrate,
    try_on_part,
    tune,
    tuning_seconds,
)
from geoseg.workflows.training.recipes import (
    Job,
    Layers,
    Trained,
    fit_heads,
    fit_trees,
    identity,
    load_layers,
)

_MINUTE = 60


def auto(job: Job) -> Trained:
    """Try quick, forest and, where there is time, deep; keep the one that does best at points left out.

    The first two are compared by cross-validation over places. Within the standard error quick is kept, which has the
    better record (docs/results.md). Where quick is kept, deep is tried on four fifths of the places, judged at the
    others, and trained on all where it scores higher.
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
    tried = {one.recipe: one for one in (quick, *_try_forest(job))}
    scores = {name: score(one.held_out) for name, one in tried.items() if one.held_out is not None}
    if len(scores) < 2:
        say("Keeping quick: the points are too few to leave any out and compare.")
        return quick
    choice = choose(scores)
    found: dict[str, Any] = {"as_well": choice.as_well, "scores": _plain(scores)}
    said = f"{_describe('places left out', scores)}{_reason(choice)}"
    if choice.best != "quick":
        say(f"Keeping {choice.best}: {said}")
        return _with_findings(tried[choice.best], found)
    say(f"quick before forest: {said}")
    try:
        compared = _try_deep(job, quick, layers, spent_s=time.monotonic() - started)
        and_deep = {**found, **compared.describe()}
        if not compared.is_gain:
            say("Keeping quick.")
            return _with_findings(quick, and_deep)
        say("Keeping deep, now on all points.")
        job.folder.write_findings(and_deep)
        tuned = tune(job, quick, after_epoch=job.folder.after_epoch)
        return _with_findings(recalibrate(job, tuned, layers, trial=compared.trial), and_deep)
    except (TrainingError, torch.OutOfMemoryError) as error:
        job.progress.warn(f"Keeping quick, since deep failed: {error}")
        return _with_findings(quick, found)


def _try_forest(job: Job) -> tuple[Trained, ...]:
    """Return a forest, or nothing where the points are too few for one."""
    try:
        return (fit_trees(job),)
    except TrainingError as error:
        job.progress.say(f"No forest: {error}")
        return ()


@dataclass(frozen=True)
class Comparison:
    """Whether deep does better than quick, as far as it was tried.

    Attributes:
        minutes: What the trial and deep on all points take.
        scores: Those of quick and deep; empty where deep was not tried.
        trial: The logits that the scores are of.
    """

    minutes: float
    scores: Mapping[str, Score]
    trial: HeldOutTrial | None

    @property
    def is_gain(self) -> bool:
        """Whether deep is better."""
        return bool(self.scores) and choose(self.scores).leader == "deep"

    def describe(self) -> dict[str, Any]:
        """Return what the training record says of it."""
        own = {"deep": {"minutes": round(self.minutes, 1), "scores": _plain(self.scores)}}
        return {**own, "as_well": choose(self.scores).as_well} if self.is_gain else own


def _try_deep(job: Job, quick: Trained, layers: Layers, *, spent_s: float) -> Comparison:
    """Compare deep with quick at some of the places, where the time suffices for this and for deep on all points."""
    points, settings = subsample_points(job.training_data.teaching.points), job.settings
    if judging_fold(points, patch_px=settings.patch, seed=settings.seed) is None:
        job.progress.say(
            f"Not trying deep: fewer than {LEAST_JUDGING} points can be left out to judge it by."
        )
        return Comparison(0.0, {}, None)
    spent = spent_s / _MINUTE
    if spent >= settings.minutes:
        job.progress.say(f"Not trying deep: the {settings.minutes:g} minutes of --minutes are over.")
        return Comparison(0.0, {}, None)
    # Without features kept, quick reads its own once more.
    again = 0.0 if settings.keep_features else spent
    needed = again + 2 * tuning_seconds(job, quick) / _MINUTE
    if spent + needed > settings.minutes:
        job.progress.say(
            f"Not trying deep, which would take about {math.ceil(needed)} min more: "
            f"--minutes {math.ceil(spent + needed)} makes room for it."
        )
        return Comparison(needed, {}, None)
    job.progress.say(f"Trying deep (about {math.ceil(needed)} min, if it is kept).")
    found = try_on_part(job, layers)
    assert found is not None
    scores = {"quick": score(found.quick), "deep": score(found.deep)}
    leader = choose(scores).leader
    job.progress.say(f"{leader} leads: {_describe('this part', scores)}")
    return Comparison(needed, scores, found)


def _with_findings(trained: Trained, found: Mapping[str, Any]) -> Trained:
    return replace(trained, training={**trained.training, "auto": {**found, "chosen": trained.recipe}})


def _plain(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    return {name: asdict(one) for name, one in scores.items()}


def _describe(where: str, scores: Mapping[str, Score]) -> str:
    said = ", ".join(f"{name} {100 * s.miou:.1f} ± {100 * s.error:.1f} %" for name, s in scores.items())
    return f"mean IoU at points of {where}, all classes weighted equally: {said}."


def _reason(choice: Choice) -> str:
    """Say why a recipe is chosen that another one leads, or which other would do as well."""
    if choice.best != choice.leader:
        return f" {choice.leader} leads by less than the standard error, and {choice.best} has done better elsewhere."
    return "".join(f" --recipe {name} would do as well." for name in choice.as_well)
