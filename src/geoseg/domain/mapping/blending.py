"""Blending of overlapping windows, without a score array of the whole raster or of a strip.

A raster is divided into cores of a fixed size. Each core is predicted with context around it. Neighbouring
predictions are blended in a band centred on the border of their cores. Their weights ramp linearly and sum to
one everywhere, so that no seam is visible.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.windows import Window


@dataclass(frozen=True)
class Span:
    """One core along one axis: pixels ``start`` to ``stop``, and half the blending band at each end."""

    start: int
    stop: int
    before: int
    after: int

    @property
    def length(self) -> int:
        """Length of the core with its bands in pixels."""
        return self.stop - self.start + self.before + self.after

    def weights(self) -> NDArray[np.float32]:
        """Return the weights of the pixels from ``start - before`` to ``stop + after``, shape (n,)."""
        weights = np.ones(self.length, np.float32)
        if self.before:
            weights[: 2 * self.before] = _ramp(self.before)
        if self.after:
            weights[self.length - 2 * self.after :] = _ramp(self.after)[::-1]
        return weights


def _ramp(half: int) -> NDArray[np.float32]:
    """Return 2 x ``half`` weights that rise from 0 to 1; weights and reversed weights sum to 1."""
    return ((np.arange(2 * half) + 0.5) / (2 * half)).astype(np.float32)


def spans(length: int, core: int, half_band: int) -> list[Span]:
    """Divide an axis of ``length`` pixels into cores of ``core`` pixels with blended borders.

    A last core shorter than the band is merged with its neighbour.

    Args:
        length: Pixels of the axis, >= 1.
        core: Pixels of a core, >= 2 x ``half_band``.
        half_band: Pixels on either side of a border within which neighbours are blended.
    """
    starts = list(range(0, length, core))
    if len(starts) > 1 and length - starts[-1] < 2 * half_band:
        starts.pop()
    stops = [*starts[1:], length]
    return [
        Span(a, b, half_band if a > 0 else 0, half_band if b < length else 0)
        for a, b in zip(starts, stops, strict=True)
    ]


@dataclass(frozen=True)
class WindowTask:
    """One window to predict: its rows and columns."""

    rows: Span
    cols: Span

    @property
    def window(self) -> Window:
        """The core and its bands."""
        return Window(
            self.rows.start - self.rows.before,
            self.cols.start - self.cols.before,
            self.rows.length,
            self.cols.length,
        )

    @property
    def weights(self) -> NDArray[np.float32]:
        """The blending weights (h, w)."""
        return np.outer(self.rows.weights(), self.cols.weights())


def strip_tasks(rows: Span, width: int, *, core: int, half_band: int) -> Iterator[WindowTask]:
    """Yield the windows of one strip from west to east."""
    for cols in spans(width, core, half_band):
        yield WindowTask(rows, cols)


class Blender:
    """Sum of weighted probabilities, added window by window from west to east and from north to south.

    A pixel is finished when the last window that covers it is added. The blender keeps one band across the raster and
    one to the right of the last window: classes x 2 ``half_band`` x (width + core) float32 values, for any height.

    Args:
        classes: C.
        width: Width of the raster in pixels.
        half_band: As in :func:`spans`.
    """

    def __init__(self, classes: int, width: int, half_band: int) -> None:
        self._below = np.zeros((classes, 2 * half_band, width), np.float32)
        self._beside = np.zeros((classes, 0, 0), np.float32)

    def add(self, task: WindowTask, probabilities: NDArray[np.float32]) -> tuple[Window, NDArray[np.float32]]:
        """Add the probabilities (C, h, w) of the next window.

        Returns:
            The finished window, and its probabilities (C, h', w').
        """
        rows, cols = task.rows, task.cols
        mixed = probabilities * task.weights
        if cols.before:
            mixed[:, :, : 2 * cols.before] += self._beside
        width, height = cols.length - 2 * cols.after, rows.length - 2 * rows.after
        # Copy, so that the band does not keep the whole window in memory.
        self._beside = mixed[:, :, width:].copy()
        done = mixed[:, :, :width]
        start = cols.start - cols.before
        across = np.s_[:, :, start : start + width]
        if rows.before:
            done[:, : 2 * rows.before] += self._below[across]
        if rows.after:
            self._below[across] = done[:, height:]
        return Window(rows.start - rows.before, start, height, width), done[:, :height]
