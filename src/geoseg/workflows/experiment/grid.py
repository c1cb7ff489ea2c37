"""The grid of an experiment: its runs, and how long those that are left take."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoseg.settings import ExperimentSettings


@dataclass(frozen=True)
class Run:
    """One cell of the grid; full supervision has no budget."""

    recipe: str
    per_class: int | None
    seed: int

    @property
    def name(self) -> str:
        """Name of its files."""
        return self.recipe if self.per_class is None else f"{self.recipe}-{self.per_class}-seed{self.seed}"

    def describe(self) -> str:
        """Return what it is, for people."""
        budget = "all labels" if self.per_class is None else f"{self.per_class} points per class"
        return f"{self.recipe}, {budget}, seed {self.seed}"


def runs(settings: ExperimentSettings) -> list[Run]:
    """Return the runs of the grid; every recipe meets the same draws."""
    grid = []
    for recipe in settings.recipes:
        if recipe == "full":
            grid.append(Run(recipe, None, 0))
            continue
        grid += [Run(recipe, n, seed) for n in settings.per_class for seed in range(settings.seeds)]
    return grid


def time_left(left: Sequence[Run], results: Sequence[Mapping[str, Any]]) -> str:
    """Return how long some runs take, by the mean of the finished runs of their recipes; "" where there are none.

    Args:
        left: The runs that are not finished.
        results: Of the runs that are.
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
