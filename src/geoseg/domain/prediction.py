"""Prediction of a raster in windows: read with context, predict, blend, strip by strip."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blending import Job, StripBlender, jobs, spans
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
    source: PixelSource, predictor: Predictor, plan: WindowPlan, progress: Progress
) -> Iterator[Strip]:
    """Predict a raster from north to south and yield each strip when it is finished.

    Peak memory is that of one strip: classes x (core + band) x width of the raster.

    Args:
        source: The raster.
        predictor: The model.
        plan: How to cut it.
        progress: Advanced once a window.
    """
    blender = StripBlender(predictor.classes, source.width)
    for rows in spans(source.height, plan.core_px, plan.half_band_px):
        blender.begin(rows)
        along = list(jobs(rows, source.width, plan.core_px, plan.half_band_px))
        for group in _batches(along, plan):
            for job, probabilities in zip(group, _predict(group, source, predictor, plan), strict=True):
                if probabilities is not None:
                    blender.add(job, probabilities)
            progress.advance(len(group))
        window, probabilities = blender.finish(rows)
        yield Strip(window, probabilities, source.read(window)[1])


def _predict(
    group: Sequence[Job], source: PixelSource, predictor: Predictor, plan: WindowPlan
) -> list[NDArray[np.float32] | None]:
    """Return the probabilities of each window of a batch; None where no pixel of it is valid."""
    read = [source.read(_input_window(job, plan)) for job in group]
    margin = plan.context_px - plan.half_band_px
    boxes = [np.s_[..., margin : margin + j.window.height, margin : margin + j.window.width] for j in group]
    is_used = [bool(valid[box].any()) for (_, valid), box in zip(read, boxes, strict=True)]
    if not any(is_used):
        return [None] * len(group)
    pixels = np.stack([p for (p, _), used in zip(read, is_used, strict=True) if used])
    valid = np.stack([v for (_, v), used in zip(read, is_used, strict=True) if used])
    answers = iter(predictor.probabilities(pixels, valid))
    return [next(answers)[box] if used else None for used, box in zip(is_used, boxes, strict=True)]


def _input_window(job: Job, plan: WindowPlan) -> Window:
    padded = job.window.padded(plan.context_px - plan.half_band_px)
    return Window(padded.row, padded.col, _align(padded.height), _align(padded.width))


def _batches(along: Sequence[Job], plan: WindowPlan) -> Iterator[list[Job]]:
    """Group neighbours whose inputs are of one size into batches."""
    for _, alike in groupby(along, lambda job: (job.window.height, job.window.width)):
        same = list(alike)
        for first in range(0, len(same), plan.batch):
            yield same[first : first + plan.batch]


def _align(pixels: int) -> int:
    return max(1, -(-pixels // ALIGNMENT_PX)) * ALIGNMENT_PX
