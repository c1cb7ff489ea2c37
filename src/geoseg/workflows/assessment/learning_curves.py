"""Learning curves of a recipe, for all points and for each class, in words, numbers and a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.choices import stratified_choice
from geoseg.domain.ports import Progress
from geoseg.learning.learning_curve import LearningCurve, learning_curve
from geoseg.workflows.assessment.fold_recipes import FoldRecipe

MAX_POINTS = 3_000
"""Of more points, a random subset is learnt from, to limit the time."""
ALL = "all classes"


@dataclass(frozen=True)
class Curves:
    """Learning curves by name of the class, "all classes" first.

    Attributes:
        curves: The curves; None for a class with too few places.
        names: Names of the classes.
        more: Number of further points of a class whose gain is estimated.
    """

    curves: Mapping[str, LearningCurve | None]
    names: Sequence[str]
    more: int

    @property
    def statements(self) -> list[str]:
        """The expected gains, one sentence each."""
        return [self._statement(name, curve) for name, curve in self.curves.items()]

    def _statement(self, name: str, curve: LearningCurve | None) -> str:
        gain = None if curve is None else curve.expected_gain(self._more(name, curve))
        if gain is None:
            return f"{name}: too few places with points to expect a gain from more of them."
        low, high = (100 * bound for bound in gain.interval)
        of, score = ("", "mean IoU") if name == ALL else (f" of {name}", "its IoU")
        return (
            f"{gain.more} more points{of}: expected {low:+.1f} to {high:+.1f} points of {score} "
            f"({100 * gain.expected:+.1f}; 90 % interval)."
        )

    def _more(self, name: str, curve: LearningCurve) -> int:
        """Return the number of further points: of a class as given, of all as many as there are."""
        return curve.total if name == ALL else self.more

    def to_record(self) -> dict[str, Any]:
        """Return the curves as JSON values."""
        records = {
            name: None if curve is None else {"name": name, **curve.to_record(self._more(name, curve))}
            for name, curve in self.curves.items()
        }
        return {"all": records.pop(ALL), "by_class": records, "statements": self.statements}

    def draw(self, path: Path, *, overwrite: bool) -> None:
        """Write a picture of the curves."""
        # Import matplotlib only when a picture is requested.
        from geoseg.pictures.learning_curves import learning_curve_figure
        from geoseg.workflows.figure_files import write_picture

        record = self.to_record()
        drawn = [one for one in (record["all"], *record["by_class"].values()) if one is not None]
        write_picture(learning_curve_figure(drawn), path, overwrite=overwrite)


def learning_curves(
    recipe: FoldRecipe, places: NDArray[np.int64], names: Sequence[str], *, seed: int, progress: Progress
) -> dict[str, LearningCurve | None]:
    """Compute the learning curve of all points, and of each class that has points.

    Args:
        recipe: The recipe.
        places: Block number of each point (P,).
        names: Names of the classes.
        seed: Seed of the folds and orders.
        progress: Progress, one step per curve.
    """
    sample = recipe.features.views[0].to_sample(places)
    sample = sample.take(stratified_choice(sample.labels, MAX_POINTS))
    present = [k for k in range(len(names)) if (sample.labels == k).any()]
    progress.start("Computing learning curves", 1 + len(present))
    found = dict[str, LearningCurve | None]()
    for name, class_id in ((ALL, None), *((names[k], k) for k in present)):
        found[name] = learning_curve(
            sample, recipe.fit_and_score, classes=len(names), class_id=class_id, seed=seed
        )
        progress.advance()
    return found
