"""Heads of features: what every classifier of feature vectors provides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.learning.validation import Floats, Sample

HeadName = Literal["knn", "logistic", "svm", "forest", "mlp"]


class Head(Protocol):
    """A fitted classifier of feature vectors."""

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """Return logits (P, C) of features (P, F)."""

    def band_graph(self) -> bytes:
        """Return the inference graph that computes these logits for each pixel of images (N, F, H, W)."""


@dataclass(frozen=True)
class Candidate:
    """A head that can be fitted.

    Attributes:
        head: Its name.
        setting: Its hyperparameter as text, such as "k = 5".
        fit: Fits it to a sample.
    """

    head: HeadName
    setting: str
    fit: Callable[[Sample], Head]
