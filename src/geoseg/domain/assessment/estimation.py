"""Estimate accuracy and areas with 95 % intervals from a labelled probability sample."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.assessment.expansion import Expansion

_Floats = NDArray[np.float64]
_Ids = NDArray[np.integer]

M2_PER_HECTARE = 10_000.0


@dataclass(frozen=True)
class Estimates:
    """Estimates (K,) with their standard errors and the half widths of their 95 % intervals; NaN where undefined."""

    estimate: _Floats
    standard_error: _Floats
    half_width: _Floats


@dataclass(frozen=True)
class MapAccuracy:
    """Design-based accuracy and area of a map with C classes.

    Attributes:
        overall: Overall accuracy (1,).
        users: User's accuracy (C,); NaN for a class without a sampled pixel in the map.
        producers: Producer's accuracy (C,); NaN for a class that no sampled pixel has in the reference.
        share: Share of the area (C,) by reference class. A class that no sampled pixel has in the reference has the
            share 0 and no interval.
        area: Area of the population, in the unit of the pixel areas.
        counts: Sampled pixels (C + 1, C), map class in rows, reference class in columns; the last row is not mapped.
        proportions: Estimated shares of the area (C + 1, C) of the same cells.
    """

    overall: Estimates
    users: Estimates
    producers: Estimates
    share: Estimates
    area: float
    counts: _Floats
    proportions: _Floats


def estimate_accuracy(
    expansion: Expansion, mapped: _Ids, reference: _Ids, *, classes: int, count: _Floats | None = None
) -> MapAccuracy:
    """Estimate accuracy and areas by indicator variables and ratios (Stehman, 2014).

    Strata may differ from the map classes. If they are the map classes, the results are those of Olofsson et al. (2014).

    Args:
        expansion: The sampling design with its n units.
        mapped: Class ids (n,) of the map; values of C or more are not mapped and count as errors.
        reference: Class ids (n,) of the interpreter, 0..C-1.
        classes: C.
        count: Number of pixels (n,) of each unit, for ``counts``; None is one.
    """
    in_map = (np.minimum(mapped, classes)[:, None] == np.arange(classes + 1)).astype(np.float64)
    in_reference = (reference[:, None] == np.arange(classes)).astype(np.float64)
    right = in_map[:, :classes] * in_reference
    whole = np.ones((len(mapped), 1))
    share = _ratios(expansion, in_reference, whole)
    cells = in_map[:, :, None] * in_reference[:, None, :]
    found = np.ones(len(mapped)) if count is None else count
    counts = np.tensordot(found, cells, axes=1)
    totals = expansion.totals(cells.reshape(len(mapped), -1)).reshape(classes + 1, classes)
    return MapAccuracy(
        overall=_ratios(expansion, right.sum(axis=1, keepdims=True), whole),
        users=_ratios(expansion, right, in_map[:, :classes], by_map_class=True),
        producers=_ratios(expansion, right, in_reference),
        share=_without_intervals(share, ~in_reference.any(axis=0)),
        area=expansion.area,
        counts=counts,
        proportions=totals / expansion.area,
    )


def estimate_overall(expansion: Expansion, is_right: NDArray[np.bool_]) -> Estimates:
    """Return the share of the area (1,) where an indicator (n,) of the sampled pixels is true."""
    return _ratios(expansion, is_right[:, None].astype(np.float64), np.ones((len(is_right), 1)))


def _ratios(expansion: Expansion, part: _Floats, whole: _Floats, *, by_map_class: bool = False) -> Estimates:
    """Return ratios of two totals (K,), with variances by linearisation (Stehman, 2014, equation 28)."""
    above, below = expansion.totals(part), expansion.totals(whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(below > 0, above / below, np.nan)
        residual = part - np.nan_to_num(ratio) * whole
        variances = expansion.class_variances if by_map_class else expansion.variances
        error = np.where(below > 0, np.sqrt(variances(residual)) / below, np.nan)
    return Estimates(ratio, error, expansion.factor * error)


def _without_intervals(found: Estimates, chosen: NDArray[np.bool_]) -> Estimates:
    return Estimates(
        found.estimate,
        np.where(chosen, np.nan, found.standard_error),
        np.where(chosen, np.nan, found.half_width),
    )
