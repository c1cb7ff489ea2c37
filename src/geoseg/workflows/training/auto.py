"""The auto recipe: choose among recipes by their scores at held-out points and by the available time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from geoseg.errors import TrainingError
from geoseg.learning.features.reading import subsample_points
from geoseg.learning.recipe_choice import Choice, Score, choose, score
from geoseg.workflows.devices import has_torch
from geoseg.workflows.training.job import Job, Layers, Trained, identity
from geoseg.workflows.training.recipes import fit_heads, fit_trees, load_layers

if TYPE_CHECKING:
    from geoseg.workflows.training.deep import TrialFit

_MINUTE = 60


def auto(job: Job) -> Trained:
    """Try quick, forest and, if time allows, deep; keep the one with the best score at held-out points.

    Compare quick and forest by cross-validation over blocks. Within the standard error keep quick, which has the
    better results in docs/results.md. If quick is kept, fit deep on four fifths of the blocks and score it at the
    others. If deep scores higher, train it on all points.
    """
    settings, say = job.settings, job.progress.say
    if settings.resume and job.folder.checkpoint.exists():
        # A checkpoint means that deep was chosen: no other recipe tried here writes one.
        from geoseg.workflows.training.deep import deep

        return _with_findings(deep(job), job.folder.read_findings())
    started, layers = time.monotonic(), load_layers(job)
    job.folder.begin(identity(job), resume=False, overwrite=settings.overwrite or settings.resume)
    say("Trying quick.")
    quick = fit_heads(job, layers)
    say("Trying forest.")
    tried = {trained.recipe: trained for trained in (quick, *_try_forest(job))}
    scores = {name: score(t.held_out) for name, t in tried.items() if t.held_out is not None}
    if len(scores) < 2:
        say("Keeping quick: there are too few points to hold some out for a comparison.")
        return quick
    choice = choose(scores)
    found: dict[str, Any] = {"as_well": choice.as_well, "scores": _plain(scores)}
    summary = f"{_describe('held-out blocks', scores)}{_reason(choice)}"
    if choice.best != "quick":
        say(f"Keeping {choice.best}: {summary}")
        return _with_findings(tried[choice.best], found)
    say(f"Preferring quick to forest: {summary}")
    if not has_torch():
        say("Not trying deep, which needs torch.")
        return _with_findings(quick, found)
    return _quick_or_deep(job, quick, layers, found=found, started=started)


def _quick_or_deep(
    job: Job, quick: Trained, layers: Layers, *, found: Mapping[str, Any], started: float
) -> Trained:
    """Return deep if it scores higher than quick and the time allows it."""
    from torch import OutOfMemoryError

    from geoseg.workflows.training.deep import fine_tune, recalibrate

    say = job.progress.say
    try:
        compared = _try_deep(job, quick, layers, spent_s=time.monotonic() - started)
        with_deep = {**found, **compared.describe()}
        if not compared.is_gain:
            say("Keeping quick.")
            return _with_findings(quick, with_deep)
        say("Keeping deep, and training it on all points.")
        job.folder.write_findings(with_deep)
        tuned = fine_tune(job, quick, after_epoch=job.folder.after_epoch)
        return _with_findings(recalibrate(job, tuned, layers, trial=compared.trial), with_deep)
    except (TrainingError, OutOfMemoryError) as error:
        job.progress.warn(f"Keeping quick, because deep failed: {error}")
        return _with_findings(quick, found)


def _try_forest(job: Job) -> tuple[Trained, ...]:
    """Return a forest, or nothing if there are too few points for one."""
    try:
        return (fit_trees(job),)
    except TrainingError as error:
        job.progress.say(f"No forest: {error}")
        return ()


@dataclass(frozen=True)
class Comparison:
    """Comparison of deep with quick.

    Attributes:
        minutes: Estimated time of the trial and of deep on all points.
        scores: Scores of quick and deep; empty if deep was not tried.
        trial: The logits behind the scores.
    """

    minutes: float
    scores: Mapping[str, Score]
    trial: TrialFit | None

    @property
    def is_gain(self) -> bool:
        """Whether deep scores higher."""
        return bool(self.scores) and choose(self.scores).leader == "deep"

    def describe(self) -> dict[str, Any]:
        """Return the entry for the training record."""
        own = {"deep": {"minutes": round(self.minutes, 1), "scores": _plain(self.scores)}}
        return {**own, "as_well": choose(self.scores).as_well} if self.is_gain else own


def _try_deep(job: Job, quick: Trained, layers: Layers, *, spent_s: float) -> Comparison:
    """Compare deep with quick at held-out blocks, if the time allows this and a training of deep on all points."""
    from geoseg.workflows.training.deep import (
        MIN_VALIDATION_POINTS,
        estimate_fine_tuning_s,
        fit_trial,
        validation_fold,
    )

    points, settings = subsample_points(job.fit_data.points), job.settings
    if validation_fold(points, patch_px=settings.patch, seed=settings.seed) is None:
        job.progress.say(
            f"Not trying deep: fewer than {MIN_VALIDATION_POINTS} points can be held out to score it."
        )
        return Comparison(0.0, {}, None)
    spent = spent_s / _MINUTE
    if spent >= settings.minutes:
        job.progress.say(f"Not trying deep: the time limit (--minutes {settings.minutes:g}) is reached.")
        return Comparison(0.0, {}, None)
    # Without a feature cache, quick computes its features again.
    again = 0.0 if settings.keep_features else spent
    needed = again + 2 * estimate_fine_tuning_s(job, quick) / _MINUTE
    if spent + needed > settings.minutes:
        job.progress.say(
            f"Not trying deep, which takes about {math.ceil(needed)} more minutes. "
            f"Use --minutes {math.ceil(spent + needed)} to allow it."
        )
        return Comparison(needed, {}, None)
    job.progress.say(f"Trying deep (about {math.ceil(needed)} min, including the training on all points).")
    found = fit_trial(job, layers)
    assert found is not None
    scores = {"quick": score(found.quick), "deep": score(found.deep)}
    leader = choose(scores).leader
    job.progress.say(f"{leader} scores higher: {_describe('these blocks', scores)}")
    return Comparison(needed, scores, found)


def _with_findings(trained: Trained, found: Mapping[str, Any]) -> Trained:
    return replace(trained, training={**trained.training, "auto": {**found, "chosen": trained.recipe}})


def _plain(scores: Mapping[str, Score]) -> dict[str, dict[str, float]]:
    return {name: asdict(value) for name, value in scores.items()}


def _describe(where: str, scores: Mapping[str, Score]) -> str:
    values = ", ".join(f"{name} {100 * s.miou:.1f} ± {100 * s.error:.1f} %" for name, s in scores.items())
    return f"mean IoU at points of {where}, with equal class weights: {values}."


def _reason(choice: Choice) -> str:
    """Return the reason for a choice against the highest score, or the recipes that score equally well."""
    if choice.best != choice.leader:
        return (
            f" {choice.leader} scores higher by less than the standard error, and {choice.best} was better on "
            "benchmark data."
        )
    return "".join(f" --recipe {name} scores equally well." for name in choice.as_well)
