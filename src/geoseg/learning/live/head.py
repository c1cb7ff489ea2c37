"""A linear head fitted in a fraction of a second, from where the last fit stopped."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from geoseg.learning.calibration import HeldOut, fit_temperature
from geoseg.learning.heads.logistic import (
    Coefficients,
    Probe,
    Standardised,
    fit_linear,
    single_threaded_blas,
    standardise,
)
from geoseg.learning.validation import Floats, Labels, Sample, predict_held_out, spatial_folds

_RIDGE_POINTS, _LEAST_INVERSE_RIDGE, _MOST_INVERSE_RIDGE = 100, 0.1, 1.0
"""Of 0.003, 0.01, 0.1 and 1, the inverse ridge 1 was best with 30 to 300 points of training places of NAIP, and 0.1 with
1,000. Quick chooses it by cross-validation, which takes longer than a click may."""
MAX_CALIBRATED = 600
"""Points of a random subset that calibrate the confidence, so that an update stays fast."""


@dataclass(frozen=True)
class LiveHead:
    """A fitted head.

    Attributes:
        probe: The classifier of features.
        temperature: Divisor of its scores that calibrates the confidence at points left out by place.
        classes: Ids of the classes, in the order of the scores.
        held_out: Scores at the points left out; None if there were too few to leave out.
    """

    probe: Probe
    temperature: float
    classes: tuple[int, ...]
    held_out: HeldOut | None


def fit_live(points: Sample, *, before: LiveHead | None = None) -> LiveHead:
    """Fit a multinomial logistic regression, whose ridge follows from the number of points, and calibrate it.

    Args:
        points: Features, class ids of at least two classes (any whole numbers), weights and block numbers; points of
            one block are left out together.
        before: The last fit, where this one starts.
    """
    classes, labels = np.unique(points.labels, return_inverse=True)
    standard = standardise(points.values)
    sample = replace(points, values=standard.coordinates, labels=labels.astype(np.int64))
    start = _start(before, standard, tuple(classes.tolist()))
    with single_threaded_blas():
        found = _fit(sample, len(classes), start)
        held_out = _leave_out(sample, len(classes), found)
    temperature = 1.0 if held_out is None else fit_temperature(held_out)
    return LiveHead(standard.to_probe(*found), temperature, tuple(classes.tolist()), held_out)


def _fit(sample: Sample, classes: int, start: Coefficients | None) -> Coefficients:
    ridge = _RIDGE_POINTS / len(sample.labels)
    return fit_linear(
        sample.values,
        sample.labels,
        sample.weights,
        classes=classes,
        inverse_ridge=min(max(ridge, _LEAST_INVERSE_RIDGE), _MOST_INVERSE_RIDGE),
        start=start,
    )


def _leave_out(sample: Sample, classes: int, start: Coefficients) -> HeldOut | None:
    count = len(sample.labels)
    if count > MAX_CALIBRATED:
        chosen = np.random.default_rng(0).permutation(count)[:MAX_CALIBRATED]
        sample = sample.take(np.sort(chosen).astype(np.int64))
    folds = spatial_folds(sample.labels, sample.places)
    if folds is None:
        return None

    def fit_and_score(_: int, fitted: Sample, values: Floats) -> Floats:
        slope, bias = _fit(fitted, classes, start)
        return values @ slope.T + bias

    return predict_held_out(sample, folds, fit_and_score)


def _start(before: LiveHead | None, standard: Standardised, classes: tuple[int, ...]) -> Coefficients | None:
    """Return the last fit in the coordinates of the new one; None if the classes have changed."""
    if before is None or before.classes != classes:
        return None
    slope = before.probe.weight * standard.deviation
    bias = before.probe.bias + before.probe.weight @ standard.mean
    return (slope if standard.axes is None else slope @ standard.axes).astype(np.float64), bias.astype(
        np.float64
    )


def block_numbers(rows: Floats, cols: Floats, images: Labels, *, side_px: int) -> Labels:
    """Return numbers of the squares of a grid that points lie in."""
    keys = np.stack([images, (rows // side_px).astype(np.int64), (cols // side_px).astype(np.int64)], axis=1)
    _, numbers = np.unique(keys, axis=0, return_inverse=True)
    return numbers.ravel().astype(np.int64)
