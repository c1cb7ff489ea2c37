"""The prior of a model: the classes' shares on the land, and what is done with them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from geoseg.domain.legend import Legend
from geoseg.domain.points import TRAIN
from geoseg.domain.ports import Progress
from geoseg.errors import SettingsError
from geoseg.learning.calibration import (
    Calibration,
    HeldOut,
    PriorReport,
    correct_prior,
    estimate_shares,
    fit_temperature,
)
from geoseg.settings import TrainSettings
from geoseg.workflows.inputs import read_usable_points
from geoseg.workflows.material import Material

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
        material: Points and legend.
        held_out: Logits at points that the model was not fitted to; without any, nothing is corrected.
        unlabelled: Logits (U, C) at random pixels of the land.
        progress: Told what was done.

    Returns:
        The calibration, and what the training record says of it.

    Raises:
        SettingsError: The shares stated are not of this legend's classes.
        PointsError: The random sample cannot be read.
    """
    if settings.prior == "none" or held_out is None or unlabelled is None:
        reason = "as asked" if settings.prior == "none" else "no point was held out to calibrate by"
        progress.say(f"The classes keep the odds of the points ({reason}).")
        return Calibration(), {"source": "none"}
    temperature = fit_temperature(held_out)
    training = material.data.points.with_role(TRAIN)
    point_shares = _shares(np.bincount(training.class_id, training.weight, len(material.legend)))
    shares = (
        estimate_shares(softmax(unlabelled.astype(np.float64) / temperature, axis=1), point_shares)
        if settings.prior == "em"
        else _stated(settings, material, progress)
    )
    calibration, report = correct_prior(held_out, temperature, point_shares=point_shares, land_shares=shares)
    progress.say(_describe(report, material.legend))
    return calibration, {"source": settings.prior, **asdict(report)}


def _stated(settings: TrainSettings, material: Material, progress: Progress) -> NDArray[np.float64]:
    """Return the shares (C,) that the user states, or that a random sample of points has."""
    legend = material.legend
    if "=" not in settings.prior:
        sample, _ = read_usable_points(
            Path(settings.prior),
            material.rasters,
            legend=legend,
            class_column=settings.class_column,
            progress=progress,
        )
        return _shares(sample.counts(len(legend)))
    parts = [part.partition("=") for part in settings.prior.split(",")]
    given = {name.strip(): _number(text) for name, _, text in parts}
    if given.keys() != set(legend.names) or min(given.values()) < 0 or sum(given.values()) <= 0:
        raise SettingsError(
            "the classes' shares cannot be used",
            where="--prior",
            expected=f"a share for each class, such as {','.join(f'{n}=0.2' for n in legend.names)}",
            got=settings.prior,
        )
    return _shares(np.array([given[name] for name in legend.names]))


def _shares(amounts: NDArray[Any]) -> NDArray[np.float64]:
    shares: NDArray[np.float64] = amounts / amounts.sum()
    return shares


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return -1.0
    return value if np.isfinite(value) else -1.0


def _describe(report: PriorReport, legend: Legend) -> str:
    shares = ", ".join(
        f"{name} {100 * land:.1f} % ({100 * points:.1f} % of the points)"
        for name, land, points in zip(legend.names, report.land_shares, report.point_shares, strict=True)
    )
    return f"Classes on the land: {shares}. Odds corrected at strength {report.strength}."
