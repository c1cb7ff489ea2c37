"""The quick recipe: one convex fit on the layers of a frozen backbone, read at the points.

Hypercolumns (Hariharan et al., CVPR 2015) with a multinomial logistic regression. Its ridge is chosen
by cross-validation over places; the points left out calibrate its confidence and the classes' prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count

from geoseg.domain.ports import Progress
from geoseg.learning.calibration import HeldOut, cross_entropy, fit_temperature
from geoseg.learning.feature_cache import FeatureCache
from geoseg.learning.layers import LayerNetwork
from geoseg.learning.probe import Linear, Probe, fit_linear, standardise
from geoseg.learning.reading import FitData, Reader, read_labelled_and_not
from geoseg.learning.validation import Floats, Folds, Sample, folds_by_place, leave_out, to_sample

INVERSE_RIDGES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
FALLBACK_INVERSE_RIDGE = 1e-3
"""For points too few to leave any out."""
MOST_VALIDATED = 5_000


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
        reader: How to read the rasters.
        seed: Seed of the unlabelled pixels.
        progress: Told of every step.
        cache: Features read earlier, which are not read again, and those read now are added to it.

    Raises:
        TrainingError: The points are of fewer than two classes.
    """
    labelled, unlabelled = read_labelled_and_not(
        network.features, data, reader=reader, seed=seed, cache=cache, progress=progress
    )
    sample = to_sample(labelled)
    standard = standardise(sample.values)
    sample = replace(sample, values=standard.coordinates)
    validation = cross_validate(sample, data.classes, progress)
    probe = standard.to_probe(*_fit(sample, data.classes, validation.inverse_ridge))
    network.write(probe)
    own = HeldOut(probe.scores(labelled.values).numpy(), sample.labels, sample.weights)
    return QuickFit(probe, validation, probe.scores(unlabelled.values).numpy(), cross_entropy(own))


def _fit(sample: Sample, classes: int, inverse_ridge: float, *, start: Linear | None = None) -> Linear:
    return fit_linear(
        sample.values,
        sample.labels,
        sample.weights,
        classes=classes,
        inverse_ridge=inverse_ridge,
        start=start,
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
    starts: list[Linear | None] = [None] * len(folds)
    progress.start("Choosing the ridge", len(INVERSE_RIDGES))
    for inverse_ridge in INVERSE_RIDGES:
        held_out = _leave_out(sample, folds, classes=classes, inverse_ridge=inverse_ridge, starts=starts)
        losses[inverse_ridge] = cross_entropy(held_out, fit_temperature(held_out))
        progress.advance()
        if losses[inverse_ridge] > min(losses.values()):
            break
        best = Validation(inverse_ridge, losses, held_out)
    return best


def _leave_out(
    sample: Sample, folds: Folds, *, classes: int, inverse_ridge: float, starts: list[Linear | None]
) -> HeldOut:
    """Return the logits of the points left out; each fold starts from its fit in ``starts``, and leaves its new one."""
    turn = count()

    def fit_and_score(fitted: Sample, values: Floats) -> Floats:
        fold = next(turn)
        slope, bias = starts[fold] = _fit(fitted, classes, inverse_ridge, start=starts[fold])
        return values @ slope.T + bias

    return leave_out(sample, folds, fit_and_score)
