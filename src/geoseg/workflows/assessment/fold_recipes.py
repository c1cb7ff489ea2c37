"""Recipes as a cross-validation needs them: features are read once, then a head is fitted to some of the points."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.points import Points
from geoseg.domain.ports import NullProgress
from geoseg.errors import TrainingError
from geoseg.learning.calibration import HeldOut
from geoseg.learning.features.reading import LabelledFeatures
from geoseg.learning.heads.bands import fit_bands, read_band_features
from geoseg.learning.heads.forest import fit_forest_features, forest_scores, read_forest_features
from geoseg.learning.heads.logistic import linear_scores
from geoseg.learning.heads.quick import fit_quick_features, read_quick_features
from geoseg.learning.recipe_choice import choose, score
from geoseg.learning.validation import FitAndScore, Floats
from geoseg.workflows.training.job import Job
from geoseg.workflows.training.recipes import load_layers

Positions = NDArray[np.int64]


@dataclass(frozen=True)
class FoldFit:
    """A head fitted to some of the points.

    Attributes:
        held_out: Its logits at points held out within them; None if no point could be held out.
        unlabelled: Its logits at random pixels (U, C).
        scores: Returns its logits (Q, C) at the points of given positions.
    """

    held_out: HeldOut | None
    unlabelled: Floats
    scores: Callable[[Positions], Floats]


@dataclass(frozen=True)
class FoldRecipe:
    """A recipe whose features have been read.

    Attributes:
        features: Features of all points, in the order of ``points``.
        fit: Fits the recipe to the points of given positions.
        fit_and_score: Its classifier with fixed settings, for learning curves.
    """

    features: LabelledFeatures
    fit: Callable[[Positions], FoldFit]
    fit_and_score: FitAndScore

    @property
    def points(self) -> Points:
        """The points."""
        return self.features.points


def fold_recipe(job: Job, name: str) -> FoldRecipe:
    """Read the features of quick, forest or auto; of rasters of features, read the bands."""
    if job.is_of_features:
        return _bands(job)
    if name == "forest":
        return _forest(job)
    return _quick(job) if name == "quick" else _auto(job)


def _bands(job: Job) -> FoldRecipe:
    settings, data = job.settings, job.fit_data
    features = read_band_features(data, seed=settings.seed, progress=job.progress)
    values = features.views[0].values

    def fit(chosen: Positions) -> FoldFit:
        found = fit_bands(
            features.take(chosen),
            head=settings.head,
            classes=data.classes,
            patch_px=settings.patch,
            seed=settings.seed,
            progress=NullProgress(),
        )
        return FoldFit(found.held_out, found.unlabelled, lambda at: found.head.scores(values[at]))

    return FoldRecipe(features, fit, linear_scores(data.classes))


def _forest(job: Job) -> FoldRecipe:
    settings, data = job.settings, job.fit_data
    reader = replace(job.reader, has_flexible_cells=True)
    features = read_forest_features(data, reader, seed=settings.seed, progress=job.progress)
    values = features.views[0].values

    def fit(chosen: Positions) -> FoldFit:
        found = fit_forest_features(
            features.take(chosen),
            classes=data.classes,
            patch_px=settings.patch,
            seed=settings.seed,
            progress=NullProgress(),
        )
        return FoldFit(found.held_out, found.unlabelled, lambda at: found.scores(values[at]))

    return FoldRecipe(features, fit, forest_scores(data.classes, settings.seed))


def _quick(job: Job) -> FoldRecipe:
    settings, data, layers = job.settings, job.fit_data, load_layers(job)
    reader = replace(job.reader, views=settings.views, has_flexible_cells=layers.has_small_field)
    features = read_quick_features(layers.extract, data, reader, seed=settings.seed, progress=job.progress)
    values = features.views[0].values

    def fit(chosen: Positions) -> FoldFit:
        found = fit_quick_features(
            features.take(chosen),
            classes=data.classes,
            patch_px=settings.patch,
            seed=settings.seed,
            progress=NullProgress(),
        )
        return FoldFit(found.validation.held_out, found.unlabelled, lambda at: found.probe.scores(values[at]))

    return FoldRecipe(features, fit, linear_scores(data.classes))


def _auto(job: Job) -> FoldRecipe:
    """Return quick or forest, chosen in each fold by the points held out within it, as training does; never deep."""
    recipes = {"quick": _quick(job), "forest": _forest(job)}

    def fit(chosen: Positions) -> FoldFit:
        fits = {name: made for name, one in recipes.items() if (made := _tried(one, chosen)) is not None}
        scores = {name: score(one.held_out) for name, one in fits.items() if one.held_out is not None}
        return fits[choose(scores).best if len(scores) > 1 else next(iter(fits))]

    return replace(recipes["quick"], fit=fit)


def _tried(recipe: FoldRecipe, chosen: Positions) -> FoldFit | None:
    try:
        return recipe.fit(chosen)
    except TrainingError:
        return None
