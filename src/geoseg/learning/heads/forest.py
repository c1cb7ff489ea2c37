"""The forest recipe: a random forest on colour and texture, the classical baseline.

Breiman, "Random forests", Machine Learning 45 (2001).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.ports import Progress
from geoseg.errors import TrainingError
from geoseg.inference.graphs.bands import forest_band_graph
from geoseg.inference.graphs.texture import texture_graph
from geoseg.inference.graphs.trees import MIN_PROBABILITY, Tree
from geoseg.inference.threads import cpu_threads
from geoseg.learning.calibration import HeldOut, cross_entropy
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.reading import (
    FitData,
    LabelledFeatures,
    Reader,
    read_labelled_and_unlabelled,
    sort_by_cell,
    subsample_points,
)
from geoseg.learning.heads.head import Candidate
from geoseg.learning.validation import FitAndScore, Floats, Sample, predict_held_out, spatial_folds

if TYPE_CHECKING:
    from sklearn.ensemble import RandomForestClassifier

TREES = 100
MIN_SAMPLES_LEAF = 3


@dataclass(frozen=True)
class ForestFit:
    """A fitted forest, its logits at held-out points and at unlabelled pixels (U, C), and its training loss.

    ``scores`` computes the logits (P, C) of values (P, K).
    """

    trees: Sequence[Tree]
    held_out: HeldOut | None
    blocks: Blocks
    unlabelled: Floats
    loss: float
    scores: Callable[[Floats], Floats]


def fit_forest(data: FitData, reader: Reader, *, seed: int, progress: Progress) -> ForestFit:
    """Fit a forest of 100 trees, with at least 3 points per leaf, to colour and texture at the points.

    Args:
        data: Rasters and points; all points are used.
        reader: How to read the rasters; a margin of 24 px or more keeps border effects out of the blurs.
        seed: Seed of the trees, of the unlabelled pixels and of the folds.
        progress: Progress of the reading.

    Raises:
        TrainingError: The points have fewer than two classes, or no tree can separate the classes.
    """
    features = read_forest_features(data, reader, seed=seed, progress=progress)
    return fit_forest_features(
        features, classes=data.classes, patch_px=reader.patch_px, seed=seed, progress=progress
    )


def read_forest_features(data: FitData, reader: Reader, *, seed: int, progress: Progress) -> LabelledFeatures:
    """Read the features of :func:`fit_forest`; arguments as there."""
    extract = GraphExtractor(texture_graph(data.normalisation.channels))
    labelled, unlabelled = read_labelled_and_unlabelled(
        extract, data, reader=reader, seed=seed, progress=progress
    )
    points = sort_by_cell(subsample_points(data.points), reader.patch_px)
    return LabelledFeatures((labelled,), points, unlabelled)


def fit_forest_features(
    features: LabelledFeatures, *, classes: int, patch_px: int, seed: int, progress: Progress
) -> ForestFit:
    """Fit as :func:`fit_forest` does to features that have been read.

    Args:
        features: The features.
        classes: C.
        patch_px: Side of a training patch, from which the blocks follow.
        seed: Seed of the trees and of the folds.
        progress: Receives warnings.
    """
    unlabelled = features.unlabelled
    blocks = find_blocks(features.points, patch_px)
    sample = features.views[0].to_sample(blocks.numbers)
    folds = spatial_folds(sample.labels, sample.places, seed=seed)
    forest = _fit(sample, seed)
    trees = _trees(forest, classes)
    if all(len(tree.left) == 1 for tree in trees):
        raise _indistinct_classes_error(sample)
    if len(sample.labels) < sample.values.shape[1]:
        progress.warn(
            f"The forest has {len(sample.labels)} points for {sample.values.shape[1]} features: too few to tell which "
            "features matter. Add points, at least 10 of each class, or use the recipe quick."
        )
    held_out = None if folds is None else predict_held_out(sample, folds, forest_scores(classes, seed))
    own = HeldOut(_logits(forest, sample.values, classes), sample.labels, sample.weights)
    return ForestFit(
        trees,
        held_out,
        blocks,
        _logits(forest, unlabelled.values, classes),
        cross_entropy(own),
        lambda values: _logits(forest, values, classes),
    )


@dataclass(frozen=True)
class ForestHead:
    """A random forest on feature vectors."""

    forest: RandomForestClassifier
    classes: int

    def scores(self, features: Floats) -> Floats:
        """Return the logarithms of the mean class proportions (P, C), as the inference graph computes them."""
        return _logits(self.forest, features, self.classes)

    def band_graph(self) -> bytes:
        """Return the inference graph."""
        return forest_band_graph(_trees(self.forest, self.classes), self.forest.n_features_in_)


def forest_candidates(classes: int, seed: int) -> Sequence[Candidate]:
    """Return a forest of 100 trees with leaves of any size, which suits few points best."""
    trees = max(1, TREES // 2)
    return [
        Candidate(
            "forest",
            f"{trees} trees",
            lambda sample: ForestHead(_fit(sample, seed, leaf=1, trees=trees), classes),
        )
    ]


def forest_scores(classes: int, seed: int = 0) -> FitAndScore:
    """Return a function that fits a forest to a sample and computes the logits (Q, C) of values, for a cross-validation."""

    def fit_and_score(_: int, fitted: Sample, values: Floats) -> Floats:
        return _logits(_fit(fitted, seed), values, classes)

    return fit_and_score


def _indistinct_classes_error(sample: Sample) -> TrainingError:
    classes, counts = np.unique(sample.labels, return_counts=True)
    if counts.min() >= MIN_SAMPLES_LEAF and len(classes) > 1:
        return TrainingError(
            "no tree can tell the classes apart, and the map would have one class",
            expected="pixels that differ between the points of different classes",
            got="the same values at all points"
            if np.ptp(sample.values, axis=0).max() == 0
            else "pixels that are alike",
            hint="Check the raster and its bands (geoseg info), and the positions of the points.",
        )
    return TrainingError(
        "the points are too few for a random forest: no tree can tell the classes apart, and the map would have one class",
        expected=f"at least {2 * MIN_SAMPLES_LEAF} points, and {MIN_SAMPLES_LEAF} or more of each class",
        got=f"{len(sample.labels)} points of {len(classes)} classes",
        hint="Add points, at least 10 of each class, or use the recipe quick.",
    )


def _logits(forest: RandomForestClassifier, values: Floats, classes: int) -> Floats:
    """Return the logarithms of the mean class proportions (P, C), as the inference graph computes them."""
    votes = np.zeros((len(values), classes), np.float32)
    if len(values):
        votes[:, forest.classes_] = forest.predict_proba(np.ascontiguousarray(values, np.float32))
    logits: Floats = np.log(votes * (1 - classes * MIN_PROBABILITY) + MIN_PROBABILITY)
    return logits


def _fit(
    sample: Sample, seed: int, *, leaf: int = MIN_SAMPLES_LEAF, trees: int | None = None
) -> RandomForestClassifier:
    from sklearn.ensemble import RandomForestClassifier as Forest

    forest = Forest(trees or TREES, min_samples_leaf=leaf, n_jobs=cpu_threads(), random_state=seed)
    return forest.fit(sample.values, sample.labels, sample.weights)


def _trees(forest: RandomForestClassifier, classes: int) -> list[Tree]:
    found = []
    for estimator in forest.estimators_:
        tree = estimator.tree_
        votes = tree.value[:, 0, :]
        shares = np.zeros((tree.node_count, classes), np.float32)
        shares[:, forest.classes_] = votes / votes.sum(axis=1, keepdims=True)
        found.append(
            Tree(
                tree.feature.astype(np.int64),
                _round_down(tree.threshold),
                tree.children_left.astype(np.int64),
                tree.children_right.astype(np.int64),
                shares,
            )
        )
    return found


def _round_down(values: Floats) -> Floats:
    """Round down to float32, so that comparisons with float32 features do not change."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
