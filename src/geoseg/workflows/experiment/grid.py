"""List the runs of an experiment, and estimate the remaining time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoseg.settings import ExperimentSettings


@dataclass(frozen=True)
class Run:
    """One combination of recipe, budget and seed; full supervision has no budget."""

    recipe: str
    per_class: int | None
    seed: int

    @property
    def name(self) -> str:
        """Stem of the file names of the run."""
        return self.recipe if self.per_class is None else f"{self.recipe}-{self.per_class}-seed{self.seed}"

    def describe(self) -> str:
        """Return a readable description."""
        budget = "all labels" if self.per_class is None else f"{self.per_class} points per class"
        return f"{self.recipe}, {budget}, seed {self.seed}"


def runs(settings: ExperimentSettings) -> list[Run]:
    """Return all runs of the grid; all recipes use the same draws of points."""
    grid = []
    for recipe in settings.recipes:
        if recipe == "full":
            grid.append(Run(recipe, None, 0))
            continue
        grid += [Run(recipe, n, seed) for n in settings.per_class for seed in range(settings.seeds)]
    return grid


def time_left(left: Sequence[Run], results: Sequence[Mapping[str, Any]]) -> str:
    """Return the estimated time of the remaining runs, from the mean of finished runs by recipe; "" if unknown.

    Args:
        left: The unfinished runs.
        results: The results of the finished runs.
    """
    seconds = dict[str, list[float]]()
    for result in results:
        seconds.setdefault(result["recipe"], []).append(result["seconds"]["train"] + result["seconds"]["map"])
    known = [float(np.mean(seconds[run.recipe])) for run in left if run.recipe in seconds]
    if not known:
        return ""
    unknown = list(dict.fromkeys(run.recipe for run in left if run.recipe not in seconds))
    if unknown:
        return f"at least {_duration(sum(known))} left (no run of {', '.join(unknown)} is finished yet)"
    return f"about {_duration(sum(known))} left"


def _duration(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"
