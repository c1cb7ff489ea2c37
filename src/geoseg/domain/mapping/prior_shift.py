"""Prior shift: a predictor with its class odds adjusted to other class proportions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Predictor


class PriorShiftedPredictor:
    """A predictor whose probabilities are multiplied by factors and renormalised.

    Args:
        predictor: The predictor.
        log_odds: Natural logarithms of the factors, one per class.
    """

    def __init__(self, predictor: Predictor, log_odds: Sequence[float]) -> None:
        self._predictor = predictor
        self._factors = np.exp(np.asarray(log_odds, np.float32) - np.float32(max(log_odds)))[:, None, None]

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return self._predictor.classes

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w) of pixels (N, B, h, w) with validity (N, h, w)."""
        found = self._predictor.probabilities(pixels, valid) * self._factors
        total = found.sum(axis=1, keepdims=True)
        weighted: NDArray[np.float32] = found / np.maximum(total, np.finfo(np.float32).tiny)
        return weighted
