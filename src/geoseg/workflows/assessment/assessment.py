"""The result of an assessment: estimates, what the interpreters answered, and their JSON form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.assessment.estimation import M2_PER_HECTARE, Estimates, MapAccuracy
from geoseg.domain.legend import Legend
from geoseg.workflows.assessment.assessment_tables import assessment_text

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Responses:
    """What the interpreter answered.

    Attributes:
        drawn: Drawn points.
        labelled: Points with a class.
        missing_by_stratum: Points without a class, by stratum.
        unsure: Labelled points that are unsure.
        unmapped: Labelled points where the map has no class.
        overall_bounds: Overall accuracy if all missing points were wrong and if all were right; None if none is missing.
    """

    drawn: int
    labelled: int
    missing_by_stratum: Mapping[str, int]
    unsure: int
    unmapped: int
    overall_bounds: tuple[float, float] | None

    def to_record(self) -> dict[str, Any]:
        """Return the counts as JSON values."""
        bounds = self.overall_bounds
        return {
            "drawn": self.drawn,
            "labelled": self.labelled,
            "missing": self.drawn - self.labelled,
            "missing_by_stratum": dict(self.missing_by_stratum),
            "unsure": self.unsure,
            "unmapped": self.unmapped,
            "overall_if_missing_are": None if bounds is None else {"wrong": bounds[0], "right": bounds[1]},
        }


@dataclass(frozen=True)
class Agreement:
    """Agreement of two interpreters.

    Attributes:
        source: File of the second one.
        both: Points that both labelled.
        agree: Points with the same class.
        counts: Points (C, C), first interpreter in rows.
        disagreements: Ids of the points with different classes.
        overall: Overall accuracy by the labels of the second one (1,); None if they lack a stratum.
    """

    source: str
    both: int
    agree: int
    counts: NDArray[np.int64]
    disagreements: tuple[int, ...]
    overall: Estimates | None

    def to_record(self) -> dict[str, Any]:
        """Return the agreement as JSON values."""
        return {
            "source": self.source,
            "both": self.both,
            "agree": self.agree,
            "agreement": self.agree / self.both,
            "counts": self.counts.tolist(),
            "disagreements": list(self.disagreements),
            "overall": None if self.overall is None else interval(self.overall, 0),
        }


@dataclass(frozen=True, repr=False)
class Assessment:
    """Accuracy and area of a map, with 95 % intervals; it prints as a table.

    Attributes:
        source: Name of the sample or matrix.
        design: Name of the sampling design.
        legend: The classes.
        accuracy: The estimates.
        mapped_m2: Mapped area (C,) in square metres; None if not known.
        is_in_m2: Whether areas are in square metres; otherwise only shares have a meaning.
        responses: What the interpreter answered; None for a matrix.
        without_unsure: The estimates without unsure labels; None if there are none.
        second: Agreement with a second interpreter.
        notes: Remarks, one sentence each.
        warnings: Warnings, one sentence each.
    """

    source: str
    design: str
    legend: Legend
    accuracy: MapAccuracy
    mapped_m2: _Floats | None
    is_in_m2: bool
    responses: Responses | None = None
    without_unsure: MapAccuracy | None = None
    second: Agreement | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def area_ha(self, accuracy: MapAccuracy | None = None) -> Estimates:
        """Return the area of each reference class in hectares (C,); NaN if the area of a pixel is not known."""
        found = accuracy or self.accuracy
        hectares = found.area / M2_PER_HECTARE if self.is_in_m2 else float("nan")
        share = found.share
        return Estimates(
            share.estimate * hectares, share.standard_error * hectares, share.half_width * hectares
        )

    def to_record(self) -> dict[str, Any]:
        """Return the assessment as JSON values; null where an estimate or interval does not exist."""
        names = self.legend.names
        without = self.without_unsure
        mapped = [None] * len(names) if self.mapped_m2 is None else (self.mapped_m2 / M2_PER_HECTARE).tolist()
        return {
            **self._estimates(self.accuracy),
            "area_share": by_class(self.accuracy.share, names),
            "mapped_area_ha": dict(zip(names, mapped, strict=True)),
            "error_matrix": {
                "rows": "map",
                "columns": "reference",
                "classes": list(names),
                "counts": self.accuracy.counts[:-1].astype(int).tolist(),
                "unmapped": self.accuracy.counts[-1].astype(int).tolist(),
                "area_proportions": self.accuracy.proportions[:-1].tolist(),
            },
            "source": self.source,
            "design": self.design,
            "confidence_level": 0.95,
            "sample": None if self.responses is None else self.responses.to_record(),
            "without_unsure": None if without is None else self._estimates(without),
            "second_interpreter": None if self.second is None else self.second.to_record(),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
        }

    def _estimates(self, accuracy: MapAccuracy) -> dict[str, Any]:
        names = self.legend.names
        return {
            "overall": interval(accuracy.overall, 0),
            "users": by_class(accuracy.users, names),
            "producers": by_class(accuracy.producers, names),
            "area_ha": by_class(self.area_ha(accuracy), names),
        }

    def __str__(self) -> str:
        return assessment_text(self)

    __repr__ = __str__


def interval(found: Estimates, index: int) -> dict[str, float | None]:
    """Return an estimate and the half width of its 95 % interval as JSON values."""
    return {
        "estimate": _number(found.estimate[index]),
        "half_width": _number(found.half_width[index]),
    }


def by_class(found: Estimates, names: Sequence[str]) -> dict[str, dict[str, float | None]]:
    """Return estimates (C,) by class name as JSON values."""
    return {name: interval(found, k) for k, name in enumerate(names)}


def _number(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
