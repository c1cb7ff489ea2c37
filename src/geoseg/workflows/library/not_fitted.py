"""The error of a model that is used before it is fitted."""

from __future__ import annotations

from sklearn.exceptions import NotFittedError as SklearnNotFittedError

from geoseg.errors import TrainingError


class NotFittedError(TrainingError, SklearnNotFittedError):  # type: ignore[misc]
    """A PointSegmenter that was used before ``fit``; also scikit-learn's NotFittedError."""
