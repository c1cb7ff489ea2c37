"""What the rooms ask of one another, as Protocols."""

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

        The window may reach over the edge; what lies outside is not valid. Pixels that are not valid
        are finite, but mean nothing. A band that has no value at a valid pixel is NaN there.
        """


class Predictor(Protocol):
    """A trained model, ready to give class probabilities."""

    @property
    def classes(self) -> int:
        """C, the number of classes."""

    def probabilities(self, pixels: NDArray[np.float32], valid: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Return class probabilities (N, C, h, w) of pixels (N, B, h, w) that are valid where (N, h, w)."""


class Progress(Protocol):
    """Somebody who wants to know how far a long piece of work has come."""

    def start(self, what: str, total: int) -> None:
        """Say that ``total`` steps of ``what`` begin."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say that ``steps`` more are done; ``note`` is a short state such as the loss."""

    def say(self, text: str) -> None:
        """Say something that the user may want to know, such as how many points are held out."""

    def warn(self, text: str) -> None:
        """Say what may spoil the result, such as points that were dropped."""


class NullProgress:
    """Progress that nobody watches."""

    def start(self, what: str, total: int) -> None:
        """Say nothing."""

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Say nothing."""

    def say(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""


class PythonWarnings(NullProgress):
    """Progress of a call from Python that passed none: only warnings are shown, as Python warnings."""

    def warn(self, text: str) -> None:
        """Issue a GeoSegWarning at the first line outside this package."""
        warnings.warn(text, GeoSegWarning, stacklevel=_frames_to_caller())


class WarningRecorder:
    """Progress that passes everything on and keeps the warnings.

    Attributes:
        warnings: The warnings so far.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self.warnings = list[str]()

    def start(self, what: str, total: int) -> None:
        """Pass the start of a piece of work on."""
        self._progress.start(what, total)

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Pass finished steps on."""
        self._progress.advance(steps, note)

    def say(self, text: str) -> None:
        """Pass a message on."""
        self._progress.say(text)

    def warn(self, text: str) -> None:
        """Keep a warning and pass it on."""
        self.warnings.append(text)
        self._progress.warn(text)


def _frames_to_caller() -> int:
    """Return the stack level, as ``warnings.warn`` counts it in the calling function, of the first line outside geoseg."""
    frame = inspect.currentframe()
    level = -1
    while frame is not None and str(frame.f_globals.get("__name__", "")).partition(".")[0] == "geoseg":
        frame, level = frame.f_back, level + 1
    return level + 1
