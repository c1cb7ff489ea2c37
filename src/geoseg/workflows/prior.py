"""The prior of a model: the classes' shares on the land, and what is done with them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from geoseg.domain.legend import Legend
from geoseg.domain.points import TRAIN
from geoseg.domain.ports import Progress
from geoseg.learning.calibration import (
    Calibration,
    HeldOut,
    PriorReport,
    correct_prior,
    estimate_shares,
    fit_temperature,
)
from geoseg.settings import TrainSettings
from geoseg.workflows.material import Material
from geoseg.workflows.shares import normalise

Floats = NDArray[np.floating]


def calibrate(
    settings: TrainSettings,
    material: Material,
    held_out: HeldOut | None,
    *,
    unlabelled: Floats | None,
    progress: Progress,
) -> tuple[Calibration, dict[str, Any]]:
    """Calibrate a model's confidence, and correct its prior as the settings ask for it.

    Args:
        settings: ``prior`` says where the shares come from.
        material: Points, legend, and the shares that were stated.
        held_out: Logits at points that the model was not fitted to; without any, nothing is corrected.
        unlabelled: Logits (U, C) at random pixels of the land.
        progress: Told what was done.

    Returns:
        The calibration, and what the training record says of it.
    """
    if held_out is not None:
        counted = held_out.weights > 0
        places = None if held_out.places is None else held_out.places[counted]
        held_out = HeldOut(
            held_out.logits[counted], held_out.labels[counted], held_out.weights[counted], places
        )
    temperature = 1.0 if held_out is None or not len(held_out.labels) else fit_temperature(held_out)
    training = material.data.points.with_role(TRAIN)
    weights = np.bincount(training.class_id, training.weight, len(material.legend))
    reason = _reason(settings, held_out, unlabelled)
    if reason or held_out is None or unlabelled is None or not weights.sum():
        progress.say(f"Class proportions are not corrected ({reason or 'no point has a weight'}).")
        return Calibration(temperature), {"source": "none"}
    point_shares = normalise(weights)
    shares = material.shares
    if shares is None:
        scaled = unlabelled.astype(np.float64) / temperature
        shares = estimate_shares(softmax(scaled, axis=1), point_shares)
    calibration, report = correct_prior(held_out, temperature, point_shares=point_shares, land_shares=shares)
    progress.say(_describe(report, material.legend))
    return calibration, {"source": settings.prior, **asdict(report)}


def _reason(settings: TrainSettings, held_out: HeldOut | None, unlabelled: Floats | None) -> str:
    """Return why nothing is corrected, or ""."""
    if held_out is None or not len(held_out.labels):
        return "no point was held out to calibrate by"
    if settings.prior == "none":
        return "as asked"
    if unlabelled is None or not len(unlabelled):
        return "no valid pixel was found to estimate shares on"
    return ""


def _describe(report: PriorReport, legend: Legend) -> str:
    shares = ", ".join(
        f"{name} {100 * land:.1f} % ({100 * points:.1f} % of the points)"
        for name, land, points in zip(legend.names, report.land_shares, report.point_shares, strict=True)
    )
    return f"Classes on the land: {shares}. Odds corrected at strength {report.strength}."
