"""The quick recipe: logistic regression on frozen features, read at the points.

Hypercolumns (Hariharan et al., CVPR 2015) with a multinomial logistic regression. Each point is read in several
orientations of the image, so that the fit becomes invariant to them. The ridge is chosen by cross-validation over
blocks; the held-out points calibrate the confidence and the class prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.choices import stratified_choice
from geoseg.domain.ports import Progress
from geoseg.inference.threads import cpu_threads
from geoseg.learning.calibration import HeldOut, cross_entropy, fit_temperature
from geoseg.learning.features.feature_cache import FeatureCache
from geoseg.learning.features.patches import Orientation
from geoseg.learning.features.reading import (
    MAX_POINTS,
    Extract,
    FitData,
    LabelledFeatures,
    PointFeatures,
    Reader,
    read_augmented,
    read_labelled_and_unlabelled,
    sort_by_cell,
    subsample_points,
)
from geoseg.learning.heads.logistic import Coefficients, Probe, fit_linear, single_threaded_blas, standardise
from geoseg.learning.validation import Floats, Folds, Labels, Sample, predict_held_out, spatial_folds

INVERSE_RIDGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FALLBACK_INVERSE_RIDGE = 1e-3
"""Used if there are too few points for cross-validation."""
MAX_VALIDATED = 5_000
MAX_READINGS = 20_000
"""Maximum number of samples (points times views) for the choice of the ridge."""
ORIENTATIONS = tuple(
    Orientation(quarters, is_flipped) for is_flipped in (False, True) for quarters in range(4)
)
"""Orientations in which points are read: unchanged, rotated, and rotated and flipped."""


@dataclass(frozen=True)
class Validation:
    """Result of cross-validation.

    Attributes:
        inverse_ridge: The best inverse ridge.
        losses: Calibrated cross-entropy in nats at the held-out points, by inverse ridge.
        held_out: Logits at the held-out points with the best ridge; None if no point could be held out.
    """

    inverse_ridge: float
    losses: Mapping[float, float]
    held_out: HeldOut | None


@dataclass(frozen=True)
class QuickFit:
    """Result of :func:`fit_quick`.

    Attributes:
        probe: The classifier of the features.
        validation: The cross-validation that chose its ridge.
        blocks: The blocks of the cross-validation.
        unlabelled: Scores (U, C) at random unlabelled pixels.
        loss: Training loss.
    """

    probe: Probe
    validation: Validation
    blocks: Blocks
    unlabelled: Floats
    loss: float


def fit_quick(
    extract: Extract,
    data: FitData,
    reader: Reader,
    *,
    seed: int,
    progress: Progress,
    cache: FeatureCache | None = None,
) -> QuickFit:
    """Fit a logistic regression to features at the points.

    Args:
        extract: The features.
        data: Rasters and points; all points are used.
        reader: How to read the rasters. ``reader.views`` is the number of orientations, reduced so that points times
            views stay within 50,000.
        seed: Seed of the unlabelled pixels and of the folds.
        progress: Progress of reading and cross-validation.
        cache: Cache of features; cached points are not read again, new ones are added.

    Raises:
        TrainingError: The points have fewer than two classes.
    """
    features = read_quick_features(extract, data, reader, seed=seed, progress=progress, cache=cache)
    return fit_quick_features(
        features, classes=data.classes, patch_px=reader.patch_px, seed=seed, progress=progress
    )


def read_quick_features(
    extract: Extract,
    data: FitData,
    reader: Reader,
    *,
    seed: int,
    progress: Progress,
    cache: FeatureCache | None = None,
) -> LabelledFeatures:
    """Read the features of :func:`fit_quick`; arguments as there."""
    labelled, unlabelled = read_labelled_and_unlabelled(
        extract, data, reader=reader, seed=seed, cache=cache, progress=progress
    )
    turned = [
        read_augmented(extract, data, reader=replace(reader, turn=view), cache=cache, progress=progress)
        for view in ORIENTATIONS[1 : limit_views(reader.views, len(data.points))]
    ]
    points = sort_by_cell(subsample_points(data.points), reader.patch_px)
    return LabelledFeatures((labelled, *turned), points, unlabelled)


def fit_quick_features(
    features: LabelledFeatures, *, classes: int, patch_px: int, seed: int, progress: Progress
) -> QuickFit:
    """Fit as :func:`fit_quick` does to features that have been read.

    Args:
        features: The features.
        classes: C.
        patch_px: Side of a training patch, from which the blocks follow.
        seed: Seed of the folds.
        progress: Progress of the cross-validation.
    """
    labelled, unlabelled = features.views[0], features.unlabelled
    blocks = find_blocks(features.points, patch_px)
    sample = _join(features.views, blocks.numbers)
    standard = standardise(sample.values)
    sample = replace(sample, values=standard.coordinates)
    validation = cross_validate(sample, classes, progress, views=len(features.views), seed=seed)
    with single_threaded_blas():
        probe = standard.to_probe(*_fit(sample, classes, validation.inverse_ridge))
    plain = labelled.to_sample(blocks.numbers)
    own = HeldOut(probe.scores(labelled.values), plain.labels, plain.weights)
    return QuickFit(probe, validation, blocks, probe.scores(unlabelled.values), cross_entropy(own))


def limit_views(views: int, points: int) -> int:
    """Limit the number of views so that points times views stay within 50,000."""
    return max(1, min(views, MAX_POINTS // min(points, MAX_POINTS)))


def _join(readings: Sequence[PointFeatures], places: Labels) -> Sample:
    """Concatenate the views of the points; the weight of a point is divided among its views."""
    first, views = readings[0].to_sample(places), len(readings)
    return Sample(
        np.concatenate([reading.values for reading in readings]),
        np.tile(first.labels, views),
        np.tile(first.weights / views, views),
        np.tile(first.places, views),
    )


def _fit(
    sample: Sample, classes: int, inverse_ridge: float, *, start: Coefficients | None = None
) -> Coefficients:
    return fit_linear(
        sample.values,
        sample.labels,
        sample.weights,
        classes=classes,
        inverse_ridge=inverse_ridge,
        start=start,
    )


def cross_validate(
    sample: Sample, classes: int, progress: Progress, *, views: int = 1, seed: int = 0
) -> Validation:
    """Choose the ridge by the calibrated cross-entropy at points of held-out blocks.

    The strongest ridge is tried first; the search stops when the loss rises. Of more than 5,000 points, or 20,000
    samples in all views, a stratified random subset is used. Fits use every view of their points; held-out points are
    scored in the original view only, with the whole weight of the point.

    Args:
        sample: Standardised features of the points, view after view.
        classes: C.
        progress: Progress of the search, one step per ridge.
        views: Number of views of each point.
        seed: Seed of the subset and of the folds.
    """
    points = len(sample.labels) // views
    chosen = stratified_choice(sample.labels[:points], min(MAX_VALIDATED, MAX_READINGS // views), seed)
    sample = sample.take(_in_all_views(chosen, points, views))
    points = len(sample.labels) // views
    folds = spatial_folds(sample.labels[:points], sample.places[:points], seed=seed)
    losses = dict[float, float]()
    best = Validation(FALLBACK_INVERSE_RIDGE, losses, None)
    if folds is None:
        return best
    folds = [(_in_all_views(fitted, points, views), left) for fitted, left in folds]
    starts: list[Coefficients | None] = [None] * len(folds)
    progress.start("Choosing the ridge", len(INVERSE_RIDGES))
    for inverse_ridge in INVERSE_RIDGES:
        found = _predict_held_out(sample, folds, classes=classes, inverse_ridge=inverse_ridge, starts=starts)
        held_out = replace(found, weights=views * found.weights)
        losses[inverse_ridge] = cross_entropy(held_out, fit_temperature(held_out))
        progress.advance()
        if losses[inverse_ridge] > min(losses.values()):
            break
        best = Validation(inverse_ridge, losses, held_out)
    return best


def _in_all_views(positions: Labels, points: int, views: int) -> Labels:
    """Return the positions of points in a sample of several views, given their positions in the first view."""
    return np.concatenate([positions + view * points for view in range(views)])


def _predict_held_out(
    sample: Sample, folds: Folds, *, classes: int, inverse_ridge: float, starts: list[Coefficients | None]
) -> HeldOut:
    """Return the logits of the held-out points. Each fit starts from ``starts[fold]`` and replaces it."""

    def fit_and_score(fold: int, fitted: Sample, values: Floats) -> Floats:
        slope, bias = starts[fold] = _fit(fitted, classes, inverse_ridge, start=starts[fold])
        return values @ slope.T + bias

    with single_threaded_blas(), ThreadPoolExecutor(cpu_threads()) as pool:
        return predict_held_out(sample, folds, fit_and_score, each=pool.map)
