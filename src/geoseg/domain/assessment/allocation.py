"""Sample size for a standard error, and its allocation to strata."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]

Allocation = Literal["proportional", "equal", "neyman"]

USUAL_MINIMUM = 50
"""Pixels of a rare stratum (Olofsson et al., 2014, section 5.1.2, advise 50 to 100)."""


@dataclass(frozen=True)
class Expected:
    """Strata as a design expects them: pixels (H,), and the accuracy of the map (H,), 0..1."""

    pixels: _Floats
    accuracy: _Floats

    @property
    def weights(self) -> _Floats:
        """Share of each stratum (H,)."""
        weights: _Floats = self.pixels / self.pixels.sum()
        return weights

    @property
    def deviations(self) -> _Floats:
        """Standard deviation (H,) of the indicator of a correct pixel."""
        deviations: _Floats = np.sqrt(self.accuracy * (1 - self.accuracy))
        return deviations


def sample_size(expected: Expected, standard_error: float) -> int:
    """Return the size of a stratified sample for a standard error of the overall accuracy.

    Olofsson et al. (2014), equation 13, which is Cochran (1977), equation 5.25.

    Example:
        >>> strata = Expected(np.array([2.0, 1.5, 32, 64.5]) * 1e5, np.array([0.7, 0.6, 0.9, 0.95]))
        >>> sample_size(strata, 0.01)
        641
    """
    weights, deviations = expected.weights, expected.deviations
    spread = float(weights @ deviations) ** 2
    correction = float(weights @ deviations**2) / float(expected.pixels.sum())
    # Rounded, so that 640.9999999 is 641 and 641.0000001 is not 642.
    return max(1, math.ceil(round(spread / (standard_error**2 + correction), 6)))


def expected_standard_error(expected: Expected, sizes: _Ints) -> float:
    """Return the standard error of the overall accuracy that sample sizes (H,) give; NaN if a stratum has none."""
    sampled = sizes.astype(np.float64)
    if not sampled.all():
        return float("nan")
    kept = 1 - sampled / expected.pixels
    return math.sqrt(float((expected.weights**2 * kept * expected.deviations**2 / sampled).sum()))


def allocate(expected: Expected, size: int, allocation: Allocation, *, minimum: int) -> _Ints:
    """Divide a sample among strata.

    Args:
        expected: The strata.
        size: Sample size.
        allocation: ``proportional`` to the pixels, ``equal``, or ``neyman``: proportional to pixels times deviation.
        minimum: Least number of pixels of a stratum. The other strata get less.

    Returns:
        Sample sizes (H,). No stratum gets more than its pixels; the sum is ``size``, unless minimum or pixels forbid it.
    """
    shares = {
        "proportional": expected.weights,
        "equal": np.ones(len(expected.pixels)),
        "neyman": expected.weights * expected.deviations,
    }[allocation]
    most = expected.pixels.astype(np.int64)
    least = np.minimum(minimum, most)
    size = int(np.clip(size, least.sum(), most.sum()))
    return _divide(size, shares, least=least, most=most)


def default_minimum(size: int, strata: int) -> int:
    """Return the least number of pixels of a stratum: 50, or half of an equal share if that is less; at least 2."""
    return max(2, min(USUAL_MINIMUM, size // (2 * strata)))


def _divide(size: int, shares: _Floats, *, least: _Ints, most: _Ints) -> _Ints:
    """Divide ``size`` by shares between limits: strata beyond a limit get it, and the others share the rest."""
    sizes, is_free = least.astype(np.float64), np.full(len(shares), True)
    while is_free.any():
        own = np.where(is_free, np.maximum(shares, 1e-12), 0)
        asked = (size - sizes[~is_free].sum()) * own / own.sum()
        under, over = is_free & (asked < least), is_free & (asked > most)
        if not (under | over).any():
            sizes = np.where(is_free, asked, sizes)
            break
        # Fix one side only: fixing both at once could leave too few or too many for the rest.
        excess = (asked - most)[over].sum() - (least - asked)[under].sum()
        fixed = over if excess > 0 else under
        sizes = np.where(fixed, most if excess > 0 else least, sizes)
        is_free &= ~fixed
    return _rounded(sizes, size, most)


def _rounded(sizes: _Floats, total: int, most: _Ints) -> _Ints:
    """Round by largest remainders to whole numbers with a given sum."""
    whole = np.floor(sizes + 1e-9).astype(np.int64)
    order = np.argsort(whole - sizes, kind="stable")
    for index in order[whole[order] < most[order]][: max(0, total - int(whole.sum()))]:
        whole[index] += 1
    return whole
