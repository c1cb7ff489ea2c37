"""Calibrate a model, and correct its class prior."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from geoseg.domain.legend import Legend
from geoseg.domain.points import TRAIN
from geoseg.domain.ports import Progress
from geoseg.learning.calibration import Calibration, HeldOut, fit_temperature
from geoseg.learning.class_prior import (
    ClassProportions,
    PriorReport,
    correct_prior,
    estimate_point_weight,
    estimate_shares,
)
from geoseg.workflows.training.class_proportions import normalise
from geoseg.workflows.training.training_data import TrainingData

Floats = NDArray[np.floating]


def calibrate(
    prior: str,
    training_data: TrainingData,
    held_out: HeldOut | None,
    *,
    unlabelled: Floats | None,
    progress: Progress,
) -> tuple[Calibration, dict[str, Any]]:
    """Calibrate the confidence of a model, and correct its class prior unless ``prior`` is none.

    Args:
        prior: Source of the class proportions, as in the settings.
        training_data: Points, legend, and class proportions given by the user.
        held_out: Logits at held-out points; without them, neither is corrected.
        unlabelled: Logits (U, C) at U random pixels of the rasters.
        progress: Receives a description of the correction.

    Returns:
        The calibration, and its entry for the training record.
    """
    held_out = None if held_out is None else held_out.with_positive_weight()
    temperature = 1.0 if held_out is None or not len(held_out.labels) else fit_temperature(held_out)
    training = training_data.data.points.with_role(TRAIN)
    weights = np.bincount(training.class_id, training.weight, len(training_data.legend))
    reason = _reason(prior, held_out, unlabelled)
    if reason or held_out is None or unlabelled is None or not weights.sum():
        progress.say(f"Class proportions are not corrected ({reason or 'no point has a weight'}).")
        return Calibration(temperature), {"source": "none"}
    point_shares = normalise(weights)
    land = _class_proportions(training_data, held_out, unlabelled, temperature, point_shares)
    calibration, report = correct_prior(
        held_out,
        temperature,
        point_shares=point_shares,
        land=land,
        unlabelled=unlabelled,
        is_stated=training_data.shares is not None,
    )
    estimated = report.land_shares
    if training_data.shares is None:
        probabilities = softmax(unlabelled.astype(np.float64) / temperature, axis=1)
        estimated = tuple(estimate_shares(probabilities, point_shares).tolist())
    progress.say(_describe(report, training_data.legend, estimated))
    if report.weakened:
        names = ", ".join(training_data.legend.names[k] for k in report.weakened)
        progress.warn(
            f"The correction was reduced for {names}, because it would have removed most of it from the map."
        )
    return calibration, {"source": prior, "estimated_shares": estimated, **asdict(report)}


def _class_proportions(  # noqa: PLR0917
    training_data: TrainingData,
    held_out: HeldOut,
    unlabelled: Floats,
    temperature: float,
    point_shares: NDArray[np.float64],
) -> ClassProportions:
    """Return the given class proportions, or an estimate from unlabelled pixels, weighted by held-out points."""
    if training_data.shares is not None:
        return ClassProportions(training_data.shares)
    weight = estimate_point_weight(held_out, unlabelled, temperature)
    probabilities = softmax(unlabelled.astype(np.float64) / temperature, axis=1)
    return ClassProportions(estimate_shares(probabilities, point_shares, point_weight=weight), weight)


def _reason(prior: str, held_out: HeldOut | None, unlabelled: Floats | None) -> str:
    """Return the reason for no correction, or ""."""
    if held_out is None or not len(held_out.labels):
        return "no point was held out for calibration"
    if prior == "none":
        return "prior: none"
    if unlabelled is None or not len(unlabelled):
        return "no valid pixel was found to estimate them"
    return ""


def _describe(report: PriorReport, legend: Legend, estimated: tuple[float, ...]) -> str:
    shares = ", ".join(
        f"{name} {100 * land:.1f} % ({100 * points:.1f} % of the points)"
        for name, land, points in zip(legend.names, estimated, report.point_shares, strict=True)
    )
    if report.strength:
        return f"Class proportions: {shares}. Odds corrected at strength {report.strength}."
    if report.point_weight == 1:
        return "Class proportions are not corrected: those of the points agree with the estimate for the rasters."
    gain, error = (100 * part for part in report.gain.miou)
    return (
        f"Class proportions: {shares}. They are not corrected: a correction does not improve the mean IoU at "
        f"validation points ({gain:+.1f} ± {error:.1f} %)."
    )
