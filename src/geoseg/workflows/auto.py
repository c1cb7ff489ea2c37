"""The recipe that chooses among recipes, by points that they were not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace

from geoseg.learning.choosing import Choice, Score, choose, score
from geoseg.workflows.recipes import Job, Trained, forest, quick


def auto(job: Job) -> Trained:
    """Try :func:`quick` and :func:`forest`, and keep what is better at the points of places left out."""
    again = job.settings.model_copy(update={"overwrite": True})
    tried = []
    for recipe, own in ((quick, job), (forest, replace(job, settings=again))):
        job.progress.say(f"Trying {recipe.__name__}.")
        tried.append(recipe(own))
    scores = {one.recipe: score(one.held_out) for one in tried if one.held_out is not None}
    if len(scores) < len(tried):
        job.progress.say("Keeping quick: the points are too few to leave any out and compare.")
        return tried[0]
    choice = choose(scores)
    kept = next(one for one in tried if one.recipe == choice.best)
    job.progress.say(_describe_choice(choice, scores))
    found = {
        "chosen": choice.best,
        "as_well": choice.as_well,
        "scores": {n: asdict(s) for n, s in scores.items()},
    }
    return replace(kept, training={**kept.training, "auto": found})


def _describe_choice(choice: Choice, scores: Mapping[str, Score]) -> str:
    said = ", ".join(f"{name} {100 * s.miou:.1f} ± {100 * s.error:.1f} %" for name, s in scores.items())
    as_well = "".join(f" --recipe {name} would do as well." for name in choice.as_well)
    return f"Keeping {choice.best}: mean IoU at points of places left out, classes alike: {said}.{as_well}"
