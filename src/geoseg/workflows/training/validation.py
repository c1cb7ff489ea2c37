"""The validation by place that ends every training, in words and numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import Legend
from geoseg.domain.points import CHECK
from geoseg.learning.conformal import COVERAGE, conformal_thresholds
from geoseg.learning.reliability import Reliability, map_probabilities, reliability_of
from geoseg.learning.validation_scores import ValidationScores, score_held_out
from geoseg.workflows.training.job import Job, Trained


@dataclass(frozen=True)
class Validation:
    """Scores of a training at held-out points.

    Attributes:
        scores: The scores; None if no point was held out.
        legend: The classes.
        statement: The scores and their limits, in a few sentences.
        reliability: Reliability of the confidence; None if no point was held out.
        thresholds: Conformal thresholds (C,); None if no point was held out.
    """

    scores: ValidationScores | None
    legend: Legend
    statement: str
    reliability: Reliability | None = None
    thresholds: NDArray[np.float64] | None = None

    def to_record(self) -> dict[str, Any]:
        """Return the validation as JSON values."""
        scores = {} if self.scores is None else self.scores.to_record(self.legend.names)
        if self.reliability is not None and self.thresholds is not None:
            names = self.legend.names
            thresholds = dict(zip(names, np.round(self.thresholds, 6).tolist(), strict=True))
            scores |= {
                "reliability": self.reliability.to_record(),
                "conformal": {"coverage": COVERAGE, "thresholds": thresholds},
            }
        return {"statement": self.statement, **scores}


def validate(job: Job, trained: Trained) -> Validation:
    """Score the held-out points of a training, with the calibration and class prior of the map."""
    legend, prior = job.training_data.legend, trained.training.get("prior", {})
    found = None
    if trained.held_out is not None:
        shares = prior.get("land_shares")
        found = score_held_out(
            trained.held_out,
            trained.calibration,
            trained=job.fit_data.points.class_id,
            land_shares=None if shares is None else np.asarray(shares),
        )
    if found is None:
        return Validation(
            None,
            legend,
            "No validation: no point could be held out, so the accuracy is not known. Check the map with points in other "
            "places (geoseg evaluate).",
        )
    assert trained.held_out is not None
    held_out = trained.held_out.with_positive_weight()
    reliability = reliability_of(held_out, trained.calibration)
    calibrated = f"Expected calibration error of the confidence: {100 * reliability.error:.1f} %."
    said = [_headline(found), calibrated, _chosen(job, trained), *doubts(found, legend)]
    probabilities = map_probabilities(held_out.logits, trained.calibration)
    thresholds = conformal_thresholds(probabilities, held_out.labels)
    return Validation(found, legend, " ".join(said), reliability, thresholds)


def _headline(found: ValidationScores) -> str:
    at_points = describe_score(found, "at_points", "overall_accuracy")
    said = f"Validation by place: overall accuracy {at_points} at {found.points:,} points held out in {found.blocks:,} blocks"
    if found.in_area is None:
        return f"{said}."
    return f"{said}; {describe_score(found, 'in_area', 'overall_accuracy')} with the class proportions assumed for the area."


def describe_score(found: ValidationScores, which: str, name: str) -> str:
    """Describe a score of ``at_points`` or ``in_area`` and its interval in percent."""
    scores = found.at_points if which == "at_points" else found.in_area
    assert scores is not None
    value, (low, high) = 100 * float(scores.values[name]), 100 * scores.intervals[name]
    return f"{value:.1f} %" + ("" if np.isnan(low) else f" (95 % interval {low:.1f} to {high:.1f})")


def _chosen(job: Job, trained: Trained) -> str:
    """Say what the held-out points chose: this makes the scores too high."""
    chosen = []
    if trained.recipe == "quick":
        chosen.append("the ridge")
    if trained.recipe == "bands":
        chosen.append("the head")
    if trained.history and len(job.data.points.with_role(CHECK)):
        chosen.append("the epoch")
    if trained.training.get("auto", {}).get("scores"):
        chosen.append("the recipe")
    if trained.training.get("prior", {}).get("strength"):
        chosen.append("the correction of the class proportions")
    chosen.append("the temperature")
    listed = " and ".join(filter(None, (", ".join(chosen[:-1]), chosen[-1])))
    return f"These points also chose {listed}, so the scores are slightly too high; they are not an accuracy of the map."


def doubts(found: ValidationScores, legend: Legend) -> list[str]:
    """Return the limits of scores, one sentence each."""
    said = []
    if found.missing:
        named = ", ".join(legend.names[k] for k in found.missing)
        said.append(f"Never held out, so without scores: {named} (all points in one place).")
    if found.few:
        named = ", ".join(f"{legend.names[k]} {found.counts[k]}" for k in found.few)
        said.append(f"Too few held-out points for a reliable score: {named}.")
    if np.isnan(found.at_points.intervals["overall_accuracy"]).any():
        said.append(f"The points lie in too few blocks ({found.blocks}) for intervals.")
    return said
