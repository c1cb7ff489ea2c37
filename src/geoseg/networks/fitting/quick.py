"""The quick recipe: one convex fit on the layers of a frozen backbone, read at the points.

Hypercolumns (Hariharan et al., CVPR 2015) with a multinomial logistic regression. Each point is read from the image
turned in several ways, so that the fit does not hold on to what a turn changes. Its ridge is chosen by
cross-validation over places; the points left out calibrate its confidence and the classes' prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import torch

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.choices import stratified_choice
from geoseg.domain.ports import Progress
from geoseg.learning.calibration import HeldOut, cross_entropy, fit_temperature
from geoseg.learning.validation import Floats, Folds, Labels, Sample, predict_held_out, spatial_folds
from geoseg.networks.features.feature_cache import FeatureCache
from geoseg.networks.features.patches import Orientation
from geoseg.networks.features.point_features import (
    MAX_POINTS,
    FitData,
    Reader,
    Reading,
    read_augmented,
    read_labelled_and_unlabelled,
    sort_by_cell,
    subsample_points,
)
from geoseg.networks.heads.logistic import Coefficients, Probe, fit_linear, single_threaded_blas, standardise
from geoseg.networks.models.hypercolumns import LayerNetwork

INVERSE_RIDGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FALLBACK_INVERSE_RIDGE = 1e-3
"""For points too few to leave any out."""
MAX_VALIDATED = 5_000
MAX_READINGS = 20_000
"""Readings of points, of all views together, that the ridge is chosen by."""
ORIENTATIONS = tuple(
    Orientation(quarters, is_flipped) for is_flipped in (False, True) for quarters in range(4)
)
"""The ways in which points are read: as they are, turned, and turned and flipped."""


@dataclass(frozen=True)
class Validation:
    """What cross-validation found.

    Attributes:
        inverse_ridge: The best one.
        losses: Calibrated cross-entropy in nats at the points left out, by inverse ridge tried.
        held_out: Scores at the points left out, of fits with the best ridge; None where none could be.
    """

    inverse_ridge: float
    losses: Mapping[float, float]
    held_out: HeldOut | None


@dataclass(frozen=True)
class QuickFit:
    """A probe of the layers, what it rests on, its scores at unlabelled pixels (U, C), and its training loss."""

    probe: Probe
    validation: Validation
    blocks: Blocks
    unlabelled: Floats
    loss: float


def fit_quick(
    network: LayerNetwork,
    data: FitData,
    reader: Reader,
    *,
    seed: int,
    progress: Progress,
    cache: FeatureCache | None = None,
) -> QuickFit:
    """Fit the heads of a network with a frozen backbone to the points, and write them into it.

    Args:
        network: The network; its heads are changed.
        data: Rasters and points; all points are used.
        reader: How to read the rasters, and in how many of the ways ``ORIENTATIONS`` to read each point; in fewer where that
            would be more than 50,000 readings.
        seed: Seed of the unlabelled pixels and of the folds.
        progress: Told of every step.
        cache: Features read earlier, which are not read again, and those read now are added to it.

    Raises:
        TrainingError: The points are of fewer than two classes.
    """
    labelled, unlabelled = read_labelled_and_unlabelled(
        network.features, data, reader=reader, seed=seed, cache=cache, progress=progress
    )
    views = limit_views(reader.views, len(data.points))
    turned = [
        read_augmented(
            network.features, data, reader=replace(reader, turn=view), cache=cache, progress=progress
        )
        for view in ORIENTATIONS[1:views]
    ]
    points = sort_by_cell(subsample_points(data.points), reader.patch_px)
    blocks = find_blocks(points, reader.patch_px)
    sample = _join([labelled, *turned], blocks.numbers)
    standard = standardise(sample.values)
    sample = replace(sample, values=standard.coordinates)
    validation = cross_validate(sample, data.classes, progress, views=views, seed=seed)
    with single_threaded_blas():
        probe = standard.to_probe(*_fit(sample, data.classes, validation.inverse_ridge))
    network.write(probe)
    plain = labelled.to_sample(blocks.numbers)
    own = HeldOut(probe.scores(labelled.values).numpy(), plain.labels, plain.weights)
    return QuickFit(probe, validation, blocks, probe.scores(unlabelled.values).numpy(), cross_entropy(own))


def limit_views(views: int, points: int) -> int:
    """Return in how many views these points are read when ``views`` are asked for: 50,000 readings are the most."""
    return max(1, min(views, MAX_POINTS // min(points, MAX_POINTS)))


def _join(readings: Sequence[Reading], places: Labels) -> Sample:
    """Return what was read of the points in every view, one view after the other; each point weighs what it did."""
    first, views = readings[0].to_sample(places), len(readings)
    return Sample(
        np.concatenate([reading.values.numpy() for reading in readings]),
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
    """Choose the ridge by the calibrated cross-entropy at the points of places left out.

    From the strongest ridge on, until the loss rises. Of more than 5,000 points, or 20,000 readings in all views, a
    random choice is used, every class in proportion. Fits see every view of their points; those left out are judged as they are.

    Args:
        sample: Standardised features of the points, one view after the other.
        classes: C.
        progress: Told of every ridge.
        views: How many views of each point there are.
        seed: Seed of the choice and of the folds.
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
        held_out = _predict_held_out(
            sample, folds, classes=classes, inverse_ridge=inverse_ridge, starts=starts
        )
        losses[inverse_ridge] = cross_entropy(held_out, fit_temperature(held_out))
        progress.advance()
        if losses[inverse_ridge] > min(losses.values()):
            break
        best = Validation(inverse_ridge, losses, held_out)
    return best


def _in_all_views(positions: Labels, points: int, views: int) -> Labels:
    """Return where points stand in a sample of several views, given where they stand in the first."""
    return np.concatenate([positions + view * points for view in range(views)])


def _predict_held_out(
    sample: Sample, folds: Folds, *, classes: int, inverse_ridge: float, starts: list[Coefficients | None]
) -> HeldOut:
    """Return the logits of the points left out; each fold starts from its fit in ``starts``, and leaves its new one."""

    def fit_and_score(fold: int, fitted: Sample, values: Floats) -> Floats:
        slope, bias = starts[fold] = _fit(fitted, classes, inverse_ridge, start=starts[fold])
        return values @ slope.T + bias

    with single_threaded_blas(), ThreadPoolExecutor(torch.get_num_threads()) as pool:
        return predict_held_out(sample, folds, fit_and_score, each=pool.map)
