"""Prediction of a raster in windows: read with context, predict, blend, strip by strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blending import Job, Span, StripBlender, jobs, spans
from geoseg.domain.legend import UNLABELLED
from geoseg.domain.ports import PixelSource, Predictor, Progress
from geoseg.domain.windows import Window

ALIGNMENT_PX = 32
"""Windows start at multiples of this, so that the network's cells lie at the same place in each."""


@dataclass(frozen=True)
class WindowPlan:
    """How a raster is cut for prediction, in pixels, all multiples of ``ALIGNMENT_PX``.

    Attributes:
        core_px: Side of what one window answers for.
        context_px: What is read around a core.
        half_band_px: How far neighbouring windows are mixed on either side of their border.
        batch: Windows predicted together.
    """

    core_px: int
    context_px: int
    half_band_px: int = 32
    batch: int = 1


def plan_windows(window_px: int, patch_px: int, batch: int = 1) -> WindowPlan:
    """Plan windows for a network trained on patches of ``patch_px``: half a patch of context."""
    return WindowPlan(
        core_px=_align(window_px),
        context_px=max(2 * ALIGNMENT_PX, _align(patch_px // 2)),
        half_band_px=ALIGNMENT_PX // 2 if window_px < 4 * ALIGNMENT_PX else ALIGNMENT_PX,
        batch=batch,
    )


@dataclass(frozen=True)
class Strip:
    """A finished full-width strip: its window, probabilities (C, h, W), and validity (h, W)."""

    window: Window
    probabilities: NDArray[np.float32]
    valid: NDArray[np.bool_]

    def class_ids(self) -> NDArray[np.uint8]:
        """Return the most probable class of each pixel (h, W); 255 where it is not valid."""
        return np.where(self.valid, self.probabilities.argmax(axis=0), UNLABELLED).astype(np.uint8)

    def confidence(self) -> NDArray[np.float32]:
        """Return the probability of the chosen class (h, W); NaN where it is not valid."""
        return np.where(self.valid, self.probabilities.max(axis=0), np.float32(np.nan))


def count_windows(source: PixelSource, plan: WindowPlan) -> int:
    """Return how many windows :func:`predict_strips` will report."""
    down = spans(source.height, plan.core_px, plan.half_band_px)
    return len(down) * len(spans(source.width, plan.core_px, plan.half_band_px))


def predict_strips(
    source: PixelSource, predictor: Predictor, plan: WindowPlan, *, progress: Progress
) -> Iterator[Strip]:
    """Predict a raster from north to south and yield each strip when it is finished.

    Every pixel is read with its context, nothing is kept of finished strips. Peak memory is that of two
    strips, the one the caller holds and the next: each classes x (core + band) x width of the raster.

    Args:
        source: The raster.
        predictor: The model.
        plan: How to cut it.
        progress: Advanced once a window.
    """
    blender = StripBlender(predictor.classes, source.width)
    for rows in spans(source.height, plan.core_px, plan.half_band_px):
        blender.begin(rows)
        valid = np.zeros((rows.length, source.width), np.bool_)
        for answer in _answers(rows, source, predictor, plan=plan):
            col, width = answer.job.window.col, answer.job.window.width
            valid[:, col : col + width] = answer.valid
            if answer.probabilities is not None:
                blender.add(answer.job, answer.probabilities)
            progress.advance()
        yield Strip(*blender.finish(rows), valid[: rows.length - 2 * rows.after])


@dataclass(frozen=True)
class _Answer:
    """What came of one window: validity (h, w), and probabilities (C, h, w); None where nothing is valid."""

    job: Job
    valid: NDArray[np.bool_]
    probabilities: NDArray[np.float32] | None


def _answers(rows: Span, source: PixelSource, predictor: Predictor, *, plan: WindowPlan) -> Iterator[_Answer]:
    """Predict the windows of one strip from west to east."""
    along = jobs(rows, source.width, core=plan.core_px, half_band=plan.half_band_px)
    for group in _batches(along, plan):
        yield from _predict(group, source, predictor, plan=plan)


def _predict(
    group: Sequence[Job], source: PixelSource, predictor: Predictor, *, plan: WindowPlan
) -> Iterator[_Answer]:
    """Predict a batch of windows; those without a valid pixel are not sent to the predictor."""
    inputs = [_input_window(job, plan) for job in group]
    read = [source.read(window) for window in inputs]
    boxes = [_box(job.window, window) for job, window in zip(group, inputs, strict=True)]
    inside = [valid[box] for (_, valid), box in zip(read, boxes, strict=True)]
    sent = [n for n, valid in enumerate(inside) if valid.any()]
    found = dict[int, NDArray[np.float32]]()
    if sent:
        pixels, valid = np.stack([read[n][0] for n in sent]), np.stack([read[n][1] for n in sent])
        found = dict(zip(sent, predictor.probabilities(pixels, valid), strict=True))
    for n, job in enumerate(group):
        yield _Answer(job, inside[n], found[n][:, *boxes[n]] if n in found else None)


def _input_window(job: Job, plan: WindowPlan) -> Window:
    """Return what is read for a window: the window and its context, out to aligned rows and columns."""
    wanted = job.window.padded(plan.context_px - plan.half_band_px)
    row, col = _align_down(wanted.row), _align_down(wanted.col)
    bottom, right = wanted.row + wanted.height, wanted.col + wanted.width
    return Window(row, col, _align(bottom) - row, _align(right) - col)


def _box(window: Window, read: Window) -> tuple[slice, slice]:
    """Return where ``window`` lies in what was read."""
    row, col = window.row - read.row, window.col - read.col
    return np.s_[row : row + window.height, col : col + window.width]


def _batches(along: Iterator[Job], plan: WindowPlan) -> Iterator[list[Job]]:
    """Group neighbours whose inputs are of one size into batches."""
    for _, alike in groupby(along, lambda job: _size(_input_window(job, plan))):
        same = list(alike)
        for first in range(0, len(same), plan.batch):
            yield same[first : first + plan.batch]


def _size(window: Window) -> tuple[int, int]:
    return window.height, window.width


def _align(pixels: int) -> int:
    return -(-pixels // ALIGNMENT_PX) * ALIGNMENT_PX


def _align_down(pixels: int) -> int:
    return pixels // ALIGNMENT_PX * ALIGNMENT_PX
