"""Range of spatial correlation, from the variogram of values at points.

Matheron's estimator and the spherical model; Cressie, "Statistics for spatial data" (1993), chapter 2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_MAX_POINTS = 2_000
_LAGS = 15
_MIN_PAIRS = 30
_MIN_GAIN = 0.2
"""Minimum share of the squared error of a flat variogram that a range must explain."""

Array = NDArray[np.float64]


def correlation_range(
    positions: Array, values: Array, sites: NDArray[np.integer], *, seed: int = 0
) -> float | None:
    """Return the range of the variogram of values at points; None if it is flat or the pairs are too few.

    Args:
        positions: Positions of the points (P, 2).
        values: Values (P,).
        sites: Number of the raster of each point (P,); only pairs on one raster count.
        seed: Seed of the subset of more than 2,000 points.
    """
    if len(values) > _MAX_POINTS:
        chosen = np.random.default_rng(seed).choice(len(values), _MAX_POINTS, replace=False)
        positions, values, sites = positions[chosen], values[chosen], sites[chosen]
    one, other = np.triu_indices(len(values), 1)
    is_pair = sites[one] == sites[other]
    one, other = one[is_pair], other[is_pair]
    distance = np.hypot(*(positions[one] - positions[other]).T)
    if not len(distance) or not distance.max():
        return None
    half = distance.max() / 2
    is_near = distance <= half
    lag = np.minimum((distance[is_near] / half * _LAGS).astype(np.intp), _LAGS - 1)
    counts = np.bincount(lag, minlength=_LAGS)
    squares = (values[one] - values[other])[is_near] ** 2 / 2
    kept = counts >= _MIN_PAIRS
    count = np.maximum(counts, 1)
    lags = np.bincount(lag, distance[is_near], _LAGS) / count
    semivariances = np.bincount(lag, squares, _LAGS) / count
    return fit_range(lags[kept], semivariances[kept], counts[kept].astype(np.float64))


def fit_range(lags: Array, semivariances: Array, counts: Array) -> float | None:
    """Return the range of the spherical model that fits a variogram best; None if a flat line fits about as well.

    Args:
        lags: Mean distance of the pairs of each lag (L,).
        semivariances: Semivariance of each lag (L,).
        counts: Number of pairs of each lag (L,), the weights of the fit.
    """
    if len(lags) < 4:
        return None
    flat = float(np.average(semivariances, weights=counts))
    best, found = float(counts @ (semivariances - flat) ** 2), None
    needed = (1 - _MIN_GAIN) * best
    for candidate in np.linspace(lags[0], lags[-1], 200):
        h = np.minimum(lags / candidate, 1)
        design = np.stack([np.ones(len(lags)), 1.5 * h - 0.5 * h**3], axis=1)
        root = np.sqrt(counts)[:, None]
        (nugget, sill), *_ = np.linalg.lstsq(root * design, root[:, 0] * semivariances, rcond=None)
        error = float(counts @ (semivariances - design @ (nugget, sill)) ** 2)
        if sill > 0 and error < best and error <= needed:
            best, found = error, float(candidate)
    return found
