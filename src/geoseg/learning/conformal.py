"""Conformal sets of classes: sets that hold the true class of a point with a chosen probability, class by class.

Class-conditional (Mondrian) split conformal prediction: Vovk, Gammerman and Shafer, "Algorithmic learning in a random
world" (2005), chapter 4; Sadinle, Lei and Wasserman, "Least ambiguous set-valued classifiers with bounded error levels",
JASA 114 (2019). The guarantee holds for points that are exchangeable with the validation points of their class.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

COVERAGE = 0.9

Floats = NDArray[np.float64]


def conformal_thresholds(
    probabilities: Floats, labels: NDArray[np.int64], *, coverage: float = COVERAGE
) -> Floats:
    """Return the probability (C,) from which a class belongs to the set of a point.

    It is the k-th smallest probability of a class at its own n validation points, k = floor((n + 1) (1 - coverage)).
    Where k is 0, a class with too few points, the threshold is 0 and the class is in every set.

    Args:
        probabilities: Probabilities at validation points (P, C).
        labels: Their class ids (P,).
        coverage: Probability that the set holds the true class, 0..1.
    """
    thresholds = np.zeros(probabilities.shape[1])
    for k in range(len(thresholds)):
        own = np.sort(probabilities[labels == k, k])
        rank = math.floor((len(own) + 1) * (1 - coverage) + 1e-9)
        if rank:
            thresholds[k] = own[rank - 1]
    return thresholds


def set_sizes(probabilities: NDArray[Any], thresholds: Floats) -> NDArray[np.uint8]:
    """Return the number of classes in the sets of probabilities (C, ...); 0 if no class reaches its threshold."""
    own = thresholds.reshape(-1, *[1] * (probabilities.ndim - 1))
    found: NDArray[np.uint8] = (probabilities >= own).sum(axis=0).astype(np.uint8)
    return found
