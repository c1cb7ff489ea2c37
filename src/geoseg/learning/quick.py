"""The quick recipe: one convex fit on the layers of a frozen backbone, read at the points.

Hypercolumns (Hariharan et al., CVPR 2015) with a multinomial logistic regression. Its ridge is chosen
by cross-validation over places; the points left out calibrate its confidence and the classes' prior.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import join_points
from geoseg.domain.ports import Progress
from geoseg.errors import TrainingError
from geoseg.learning.calibration import HeldOut, cross_entropy, fit_temperature
from geoseg.learning.layers import LayerNetwork
from geoseg.learning.probe import Probe, fit_linear, standardise
from geoseg.learning.reading import FitData, Reader, Reading, draw_unlabelled, read_maps

FOLDS = 5
INVERSE_RIDGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FALLBACK_INVERSE_RIDGE = 1e-3
"""For points too few to leave any out."""
MOST_VALIDATED = 5_000

Labels = NDArray[np.int64]
Floats = NDArray[np.floating]


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
    """A probe of the layers, what it rests on, and its scores at random unlabelled pixels (U, C)."""

    probe: Probe
    validation: Validation
    unlabelled: Floats
    loss: float


def fit_quick(
    network: LayerNetwork, data: FitData, reader: Reader, *, seed: int, progress: Progress
) -> QuickFit:
    """Fit the heads of a network with a frozen backbone to the points, and write them into it.

    Args:
        network: The network; its heads are changed.
        data: Rasters and points; all points are used.
        reader: How to read the rasters.
        seed: Seed of the folds and of the unlabelled pixels.
        progress: Told of every step.

    Raises:
        TrainingError: The points are of fewer than two classes.
    """
    if len(np.unique(data.points.class_id)) < 2:
        raise TrainingError("the points are all of one class", expected="points of two classes or more")
    every = join_points([data.points, draw_unlabelled(data.sizes, reader.patch_px, seed)])
    reading = read_maps(network.features, every, data, reader=reader, progress=progress)
    labelled, unlabelled = _split(reading)
    standard = standardise(labelled.values.numpy())
    sample = Sample(
        standard.coordinates,
        labelled.label.numpy(),
        labelled.weight.double().numpy(),
        labelled.cell.numpy(),
    )
    validation = cross_validate(sample, data.classes, progress)
    probe = standard.to_probe(*_fit(sample, data.classes, validation.inverse_ridge))
    network.write(probe)
    own = HeldOut(probe.scores(labelled.values).numpy(), sample.labels, sample.weights)
    return QuickFit(probe, validation, probe.scores(unlabelled.values).numpy(), cross_entropy(own))


def _split(reading: Reading) -> tuple[Reading, Reading]:
    is_unlabelled = reading.label == UNLABELLED
    return reading.take(~is_unlabelled), reading.take(is_unlabelled & reading.valid)


@dataclass(frozen=True)
class Sample:
    """P points to fit to: values (P, K), class ids, weights, and the number of each one's place (P,)."""

    values: Floats
    labels: Labels
    weights: Floats
    places: Labels

    def take(self, chosen: Labels | slice) -> Sample:
        """Return the points chosen."""
        return Sample(*(column[chosen] for column in vars(self).values()))


def _fit(sample: Sample, classes: int, inverse_ridge: float) -> tuple[Floats, Floats]:
    return fit_linear(
        sample.values, sample.labels, sample.weights, classes=classes, inverse_ridge=inverse_ridge
    )


def cross_validate(sample: Sample, classes: int, progress: Progress) -> Validation:
    """Choose the ridge by the calibrated cross-entropy at the points of places left out.

    From the strongest ridge on, until the loss rises. Of more than 5,000 points an even choice is used.

    Args:
        sample: Standardised features of the points.
        classes: C.
        progress: Told of every ridge.
    """
    sample = sample.take(slice(None, None, -(-len(sample.labels) // MOST_VALIDATED)))
    folds = folds_by_place(sample.labels, sample.places)
    losses = dict[float, float]()
    best = Validation(FALLBACK_INVERSE_RIDGE, losses, None)
    if folds is None:
        return best
    progress.start("Choosing the ridge", len(INVERSE_RIDGES))
    for inverse_ridge in INVERSE_RIDGES:
        held_out = _leave_out(sample, folds, classes=classes, inverse_ridge=inverse_ridge)
        losses[inverse_ridge] = cross_entropy(held_out, fit_temperature(held_out))
        progress.advance()
        if losses[inverse_ridge] > min(losses.values()):
            break
        best = Validation(inverse_ridge, losses, held_out)
    return best


def _leave_out(
    sample: Sample, folds: Sequence[tuple[Labels, Labels]], *, classes: int, inverse_ridge: float
) -> HeldOut:
    logits = []
    for fit, left in folds:
        slope, bias = _fit(sample.take(fit), classes, inverse_ridge)
        logits.append(sample.values[left] @ slope.T + bias)
    every = sample.take(np.concatenate([left for _, left in folds]))
    return HeldOut(np.concatenate(logits), every.labels, every.weights)


def folds_by_place(labels: Labels, places: Labels) -> list[tuple[Labels, Labels]] | None:
    """Return up to five pairs of positions to fit to and to leave out, or None when there are too few points.

    Places stay whole, but for classes that only one place has: their points count as places of their own.

    Args:
        labels: Class ids (P,).
        places: Number of the place of each point (P,).
    """
    single = [k for k in np.unique(labels) if len(np.unique(places[labels == k])) == 1]
    alone = np.isin(labels, single)
    places = np.where(alone, places.max() + 1 + np.arange(len(places)), places)
    count = min(FOLDS, len(np.unique(places)), int(np.bincount(labels).max()))
    if count < 2:
        return None
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # Classes with fewer points than folds are left out in some of them.
        warnings.simplefilter("ignore", UserWarning)
        pairs = list(splitter.split(labels, labels, places))
    kept = [(fit, _of_classes(labels, left, fit)) for fit, left in pairs]
    usable = [(fit, left) for fit, left in kept if len(left) and len(np.unique(labels[fit])) > 1]
    return usable or None


def _of_classes(labels: Labels, left: Labels, fit: Labels) -> Labels:
    """Return those left out whose class is among those that are fitted to."""
    return left[np.isin(labels[left], labels[fit])]
