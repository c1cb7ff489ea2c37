"""Interfaces between the packages, as Protocols."""

from __future__ import annotations

import inspect
import warnings
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.windows import Window
from geoseg.errors import GeoSegWarning


class PixelSource(Protocol):
    """A raster that can be read in windows."""

    @property
    def height(self) -> int:
        """Rows of pixels."""

    @property
    def width(self) -> int:
        """Columns of pixels."""

    def read(self, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Return pixels (B, h, w), float32 in the raster's own values, and where they are valid, (h, w).

        The window may extend beyond the raster; pixels outside are invalid. Invalid pixels have arbitrary finite
        values. A band without a value at a valid pixel is NaN there.
        """


class Predictor(Protocol):
    """A trained model, ready to give class probabilities."""

    @property
    def classes(self) -> int:
        """C, the number of classes."""

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w) of pixels (N, B, h, w) with validity (N, h, w)."""


class Progress(Protocol):
    """Receiver of progress, messages and warnings of a long task."""

    def start(self, what: str, total: int) -> None:
        """Report the start of the task ``what`` with ``total`` steps."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Report ``steps`` finished steps; ``note`` is a short status such as the loss."""

    def say(self, text: str) -> None:
        """Report information for the user, such as the number of held-out points."""

    def warn(self, text: str) -> None:
        """Warn of a possible problem with the result, such as dropped points."""


class NullProgress:
    """Progress that ignores all reports."""

    def start(self, what: str, total: int) -> None:
        """Ignore the report."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Ignore the report."""

    def say(self, text: str) -> None:
        """Ignore the report."""

    def warn(self, text: str) -> None:
        """Ignore the report."""


class PythonWarnings(NullProgress):
    """Default progress of calls from Python: warnings become Python warnings, other reports are ignored."""

    def warn(self, text: str) -> None:
        """Issue a GeoSegWarning at the first line outside this package."""
        warnings.warn(text, GeoSegWarning, stacklevel=_stacklevel_outside_package())


class WarningRecorder:
    """Progress that forwards all reports and records the warnings.

    Attributes:
        warnings: The recorded warnings.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.warnings = list[str]()

    def start(self, what: str, total: int) -> None:
        """Forward the start of a task."""
        self._progress.start(what, total)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Forward finished steps."""
        self._progress.advance(steps, note)

    def say(self, text: str) -> None:
        """Forward a message."""
        self._progress.say(text)

    def warn(self, text: str) -> None:
        """Record and forward a warning."""
        self.warnings.append(text)
        self._progress.warn(text)


def _stacklevel_outside_package() -> int:
    """Return the ``stacklevel`` for ``warnings.warn`` in the calling function that points to the first frame outside geoseg."""
    frame = inspect.currentframe()
    level = -1
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "geoseg":
        frame, level = frame.f_back, level + 1
    return level + 1
