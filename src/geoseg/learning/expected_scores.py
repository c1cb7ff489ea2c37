"""Expected accuracy of a map under given class proportions, estimated at held-out points."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.accuracy import accuracy
from geoseg.learning.calibration import HeldOut

_DRAWS = 200

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ExpectedScores:
    """Expected scores of a map.

    Attributes:
        mapped: Predicted class ids at the held-out points (P,).
        held_out: The held-out points.
        land_shares: Class proportions of the mapped area (C,).
    """

    mapped: NDArray[np.intp]
    held_out: HeldOut
    land_shares: Array

    def rates(self, weights: NDArray[np.floating]) -> Array:
        """Return the row-normalised confusion matrix (C, C): for each true class, the shares of the predicted classes."""
        classes = len(self.land_shares)
        cells = np.bincount(self.held_out.labels * classes + self.mapped, weights, classes * classes)
        table = cells.reshape(classes, classes)
        total = table.sum(axis=1, keepdims=True)
        rates: Array = np.divide(table, total, out=np.zeros_like(table), where=total > 0)
        return rates

    def miou(self, weights: NDArray[np.floating]) -> float:
        """Return the expected mean IoU for point weights (P,)."""
        return miou_of_shares(self.rates(weights), self.land_shares)

    def mean(self, values: Array, weights: NDArray[np.floating]) -> float:
        """Return the mean over the mapped area of values at the points (P,), for point weights (P,)."""
        labels, classes = self.held_out.labels, len(self.land_shares)
        total, count = np.bincount(labels, weights * values, classes), np.bincount(labels, weights, classes)
        found = (count > 0) & (self.land_shares > 0)
        shares = self.land_shares[found]
        return float(total[found] / count[found] @ shares / shares.sum()) if found.any() else 0.0


def bootstrap(held_out: HeldOut) -> Iterator[NDArray[np.floating]]:
    """Yield point weights (P,) of 200 bootstrap draws of the blocks (Efron, 1979), with a fixed seed."""
    weights = held_out.weights
    places = np.arange(len(weights)) if held_out.places is None else held_out.places
    _, place = np.unique(places, return_inverse=True)
    count = int(place.max(initial=-1)) + 1
    rng = np.random.default_rng(len(weights))
    for _ in range(_DRAWS):
        yield weights * np.bincount(rng.integers(count, size=count), minlength=count)[place]


def miou_of_shares(rates: Array, shares: Array) -> float:
    """Return the mean IoU for class proportions (C,) and a row-normalised confusion matrix (C, C)."""
    land = rates * shares[:, None]
    # Scaled to integers, because accuracy takes counts.
    return float(accuracy(np.round(land * 1e9).astype(np.int64)).miou)
