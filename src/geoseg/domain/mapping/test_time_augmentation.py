"""Test-time augmentation: mean prediction over the rotations and flips of a window."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import Predictor

_AXES = (-2, -1)


class AugmentedPredictor:
    """A predictor that averages another one over the eight symmetries of the square.

    Aerial images have no preferred orientation. Prediction takes eight times as long.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @property
    def classes(self) -> int:
        """C, the number of classes."""
        return self._predictor.classes

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w) of pixels (N, B, h, w) with validity (N, h, w)."""
        total = np.zeros((len(pixels), self.classes, *pixels.shape[-2:]), np.float32)
        for quarters, flips in _symmetries():
            turned = np.rot90(np.flip(pixels, flips), quarters, _AXES)
            inside = np.rot90(np.flip(valid, flips), quarters, _AXES)
            found = self._predictor.probabilities(np.ascontiguousarray(turned), np.ascontiguousarray(inside))
            total += np.flip(np.rot90(found, -quarters, _AXES), flips)
        total /= 8
        return total


def _symmetries() -> Iterator[tuple[int, tuple[int, ...]]]:
    """Yield numbers of quarter turns, and the axes to flip before them."""
    for quarters in range(4):
        yield quarters, ()
        yield quarters, (-1,)
