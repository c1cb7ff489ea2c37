"""Blending of overlapping windows into strips, without a score array of the whole raster.

A raster is cut into cores of a fixed size. Each core is predicted with context around it; neighbouring
predictions are mixed by weights that ramp linearly across a band centred on the border of their
cores and sum to one everywhere, so that no seam is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.windows import Window


@dataclass(frozen=True)
class Span:
    """One core along one axis: its pixels ``start``..``stop`` and half the blended band at each end."""

    start: int
    stop: int
    before: int
    after: int

    @property
    def length(self) -> int:
        """Pixels of the core and its bands."""
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
    """Return 2 x ``half`` weights that rise from 0 to 1 and complement their own reverse."""
    return ((np.arange(2 * half) + 0.5) / (2 * half)).astype(np.float32)


def spans(length: int, core: int, half_band: int) -> list[Span]:
    """Cut an axis of ``length`` pixels into cores of ``core`` pixels with blended borders between them.

    A last core that would be shorter than the band joins its neighbour's.

    Args:
        length: Pixels of the axis, >= 1.
        core: Pixels of a core, >= 2 x ``half_band``.
        half_band: Pixels on either side of a border over which neighbours are mixed.
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
class Job:
    """One prediction: the window it answers for, and the weights (h, w) it is mixed with."""

    window: Window
    weights: NDArray[np.float32]


def jobs(rows: Span, width: int, *, core: int, half_band: int) -> Iterator[Job]:
    """Yield the predictions of one strip from west to east."""
    down = rows.weights()
    for cols in spans(width, core, half_band):
        across = cols.weights()
        window = Window(rows.start - rows.before, cols.start - cols.before, len(down), len(across))
        yield Job(window, np.outer(down, across))


class StripBlender:
    """Sums weighted probabilities strip by strip; only the blended band is kept between strips.

    Args:
        classes: C.
        width: Width of the raster in pixels.
    """

    def __init__(self, classes: int, width: int) -> None:
        self._classes, self._width = classes, width
        self._carried = np.zeros((classes, 0, width), np.float32)
        self._sum = self._carried
        self._top = 0

    def begin(self, rows: Span) -> None:
        """Begin the strip of ``rows``, on top of what the strip before left in the band."""
        self._top = rows.start - rows.before
        self._sum = np.zeros((self._classes, rows.length, self._width), np.float32)
        self._sum[:, : self._carried.shape[1]] = self._carried

    def add(self, job: Job, probabilities: NDArray[np.float32]) -> None:
        """Add the probabilities (C, h, w) of one window."""
        top = job.window.row - self._top
        left = job.window.col
        box = np.s_[:, top : top + job.window.height, left : left + job.window.width]
        self._sum[box] += job.weights * probabilities

    def finish(self, rows: Span) -> tuple[Window, NDArray[np.float32]]:
        """Return the finished window of the strip and its probabilities (C, h, W); keep the rest."""
        height = self._sum.shape[1] - 2 * rows.after
        done = self._sum[:, :height]
        # A copy, so that the band does not keep the whole strip in memory.
        self._carried = self._sum[:, height:].copy()
        self._sum = self._carried
        return Window(self._top, 0, height, self._width), done
