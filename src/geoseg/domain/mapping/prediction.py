"""Prediction of a raster in windows: read with context, predict and blend, strip by strip."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.mapping.blending import Blender, Span, WindowTask, spans, strip_tasks
from geoseg.domain.mapping.pipeline import prefetch
from geoseg.domain.ports import PixelSource, Predictor, Progress
from geoseg.domain.windows import Window

ALIGNMENT_PX = 32
"""Windows start at multiples of this, so that the network's cells are aligned in all windows."""

STEPS = 254
"""Probabilities are stored as integers 0..254 in units of 1/254; 255 means none."""

_MAX_INPUT_PX = 1216
_MIN_CORE_PX = 256
_CONTEXT_SHARE = 0.16


@dataclass(frozen=True)
class WindowPlan:
    """Sizes of the windows for the prediction of a raster.

    Attributes:
        core_px: Side of the core of a window in pixels, a multiple of ``ALIGNMENT_PX``.
        context_px: Context around a core in pixels, a multiple of ``ALIGNMENT_PX``.
        half_band_px: Half the width in pixels of the band in which neighbouring windows are blended.
        batch: Windows per batch.
    """

    core_px: int
    context_px: int
    half_band_px: int = 32
    batch: int = 1


def plan_windows(window_px: int | None, context_px: int, *, batch: int = 1, enlarge: int = 1) -> WindowPlan:
    """Plan windows for a network.

    Args:
        window_px: Side of a window in pixels. None limits the cost of the context to a third, as far as the network's
            input stays within 1,216 px.
        context_px: Context in pixels that the network needs; 0 if each pixel is classified by itself, without blending.
        batch: Windows per batch.
        enlarge: Largest scale factor of the network's input.
    """
    if context_px == 0:
        return WindowPlan(_align(window_px or _MIN_CORE_PX), 0, half_band_px=0, batch=batch)
    context = max(2 * ALIGNMENT_PX, _align(context_px))
    if window_px is None:
        most = max(_MIN_CORE_PX, _align_down(_MAX_INPUT_PX // enlarge))
        window_px = min(_align(int(2 * context / _CONTEXT_SHARE)), most)
    return WindowPlan(
        core_px=_align(window_px),
        context_px=context,
        half_band_px=ALIGNMENT_PX // 2 if window_px < 4 * ALIGNMENT_PX else ALIGNMENT_PX,
        batch=batch,
    )


@dataclass(frozen=True)
class Strip:
    """A finished full-width strip.

    Attributes:
        number: Index of the strip from the north, from 0.
        window: Its position in the raster.
        class_ids: Most probable class (h, W), uint8; 255 where the raster is invalid.
        confidence: Probability of that class in units of 1/254 (h, W), uint8; 255 for none.
        probabilities: Probabilities of all classes in the same units (C, h, W), uint8; None unless requested.
    """

    number: int
    window: Window
    class_ids: NDArray[np.uint8]
    confidence: NDArray[np.uint8]
    probabilities: NDArray[np.uint8] | None = None

    def masked(self, inside: NDArray[np.bool_]) -> Strip:
        """Return the strip with nodata where ``inside`` (h, W) is False."""
        none = np.uint8(UNLABELLED)
        kept = None if self.probabilities is None else np.where(inside, self.probabilities, none)
        return Strip(
            self.number,
            self.window,
            np.where(inside, self.class_ids, none),
            np.where(inside, self.confidence, none),
            kept,
        )

    def merged(self, class_ids: NDArray[np.uint8]) -> Strip:
        """Return the strip with new class ids (h, W), and no confidence where they changed."""
        confidence = np.where(class_ids == self.class_ids, self.confidence, np.uint8(UNLABELLED))
        return replace(self, class_ids=class_ids, confidence=confidence)


def count_strips(source: PixelSource, plan: WindowPlan) -> int:
    """Return the number of strips that :func:`predict_strips` yields."""
    return len(spans(source.height, plan.core_px, plan.half_band_px))


def count_windows(source: PixelSource, plan: WindowPlan, strips: range | None = None) -> int:
    """Return the number of windows that :func:`predict_strips` reports."""
    down = count_strips(source, plan) if strips is None else len(range(max(0, strips.start - 1), strips.stop))
    return down * len(spans(source.width, plan.core_px, plan.half_band_px))


def predict_strips(
    source: PixelSource,
    predictor: Predictor,
    plan: WindowPlan,
    *,
    progress: Progress,
    strips: range | None = None,
    has_probabilities: bool = False,
) -> Generator[Strip]:
    """Predict a raster from north to south and yield each strip when it is finished.

    Reading, prediction and the caller's processing run in parallel. Close the generator if you stop early; this stops
    the reading. Context is read as far as the raster extends. Finished strips are not kept. Peak memory, besides that
    of the network, has three parts. The blended band takes 4 classes x 64 x width bytes. Two strips take 4 core x
    width bytes, and with probabilities 2 core x width more per class. Three windows are held before and three after
    the network. Memory does not depend on the height.

    Args:
        source: The raster.
        predictor: The model.
        plan: The windows.
        progress: Progress of the prediction, one step per window.
        strips: Range of strips to predict; None means all. The result does not depend on the range, because the strip
            before it is computed again for the blended band.
        has_probabilities: Whether to return the probabilities of all classes.
    """
    rows = spans(source.height, plan.core_px, plan.half_band_px)
    strips = range(len(rows)) if strips is None else strips
    first = max(0, strips.start - 1)
    blender = Blender(predictor.classes, source.width, plan.half_band_px)
    buffer = _StripBuffer(first, rows[first], source.width)
    with closing(
        prefetch(_predict_windows(rows[first : strips.stop], source, predictor, plan=plan))
    ) as results:
        for result in results:
            if result.task.rows is not buffer.rows:
                buffer = _StripBuffer(buffer.number + 1, result.task.rows, source.width)
            buffer.add(result, blender, has_probabilities=has_probabilities, classes=predictor.classes)
            progress.advance()
            if buffer.is_full and buffer.number in strips:
                yield buffer.to_strip()


@dataclass
class _StripBuffer:
    """A strip that is being filled, window by window."""

    number: int
    rows: Span
    width: int
    filled: int = 0
    class_ids: NDArray[np.uint8] = field(init=False)
    confidence: NDArray[np.uint8] = field(init=False)
    probabilities: NDArray[np.uint8] | None = None

    def __post_init__(self) -> None:
        shape = (self.rows.length - 2 * self.rows.after, self.width)
        self.class_ids = np.full(shape, UNLABELLED, np.uint8)
        self.confidence = np.full(shape, UNLABELLED, np.uint8)

    @property
    def is_full(self) -> bool:
        return self.filled == self.width

    def add(self, result: _WindowResult, blender: Blender, *, has_probabilities: bool, classes: int) -> None:
        window = result.task.window
        found = result.probabilities
        if found is None:
            found = np.zeros((classes, window.height, window.width), np.float32)
        done, probabilities = blender.add(result.task, found)
        valid = result.valid[: done.height, : done.width]
        box = np.s_[:, done.col : done.col + done.width]
        best = probabilities.argmax(axis=0)
        self.class_ids[box] = np.where(valid, best, UNLABELLED)
        self.confidence[box] = np.where(valid, _to_steps(probabilities.max(axis=0)), UNLABELLED)
        if has_probabilities:
            if self.probabilities is None:
                self.probabilities = np.full((classes, *self.class_ids.shape), UNLABELLED, np.uint8)
            self.probabilities[:, *box] = np.where(valid, _to_steps(probabilities), UNLABELLED)
        self.filled = done.col + done.width

    def to_strip(self) -> Strip:
        height, width = self.class_ids.shape
        window = Window(self.rows.start - self.rows.before, 0, height, width)
        return Strip(self.number, window, self.class_ids, self.confidence, self.probabilities)


def _to_steps(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    steps: NDArray[np.float32] = np.rint(np.clip(probabilities, 0, 1) * np.float32(STEPS))
    return steps


@dataclass(frozen=True)
class _WindowResult:
    """Result of one window: validity (h, w) and probabilities (C, h, w), None if no pixel is valid."""

    task: WindowTask
    valid: NDArray[np.bool_]
    probabilities: NDArray[np.float32] | None


@dataclass(frozen=True)
class _InputBatch:
    """Windows read with context: tasks, offsets of the windows in the pixels read, and pixels with validity."""

    group: Sequence[WindowTask]
    boxes: Sequence[tuple[slice, slice]]
    read: Sequence[tuple[NDArray[np.float32], NDArray[np.bool_]]]


def _predict_windows(
    rows: Sequence[Span], source: PixelSource, predictor: Predictor, *, plan: WindowPlan
) -> Generator[_WindowResult]:
    """Predict the windows of strips, from west to east and from north to south."""
    with closing(prefetch(_read_batches(rows, source, plan))) as batches:
        for batch in batches:
            yield from _predict(batch, predictor)


def _read_batches(rows: Sequence[Span], source: PixelSource, plan: WindowPlan) -> Iterator[_InputBatch]:
    for strip in rows:
        along = strip_tasks(strip, source.width, core=plan.core_px, half_band=plan.half_band_px)
        for group in _batches(along, source, plan):
            inputs = [_input_window(task, source, plan) for task in group]
            boxes = [_offset_slices(task.window, window) for task, window in zip(group, inputs, strict=True)]
            yield _InputBatch(group, boxes, [_read_reflected(source, window) for window in inputs])


def _read_reflected(source: PixelSource, window: Window) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Read a window, reflect-padded beyond the raster: real scenes have no hard edge."""
    inside = window.clipped(source.height, source.width)
    pixels, valid = source.read(inside)
    if inside == window:
        return pixels, valid
    beyond = (0, window.height - inside.height), (0, window.width - inside.width)
    return np.pad(pixels, ((0, 0), *beyond), "reflect"), np.pad(valid, beyond, "reflect")


def _predict(batch: _InputBatch, predictor: Predictor) -> Iterator[_WindowResult]:
    """Predict a batch of windows; windows without a valid pixel are skipped."""
    inside = [valid[box] for (_, valid), box in zip(batch.read, batch.boxes, strict=True)]
    sent = [n for n, valid in enumerate(inside) if valid.any()]
    found = dict[int, NDArray[np.float32]]()
    if sent:
        pixels = np.stack([batch.read[n][0] for n in sent])
        valid = np.stack([batch.read[n][1] for n in sent])
        found = dict(zip(sent, predictor.probabilities(pixels, valid), strict=True))
    for n, task in enumerate(batch.group):
        yield _WindowResult(task, inside[n], found[n][:, *batch.boxes[n]] if n in found else None)


def _input_window(task: WindowTask, source: PixelSource, plan: WindowPlan) -> Window:
    """Return the window to read: the window with its context, extended to aligned rows and columns.

    It ends at the edge of the raster, extended to aligned rows and columns, as patches do in training. More padding
    costs time and lowers the accuracy at the edges.
    """
    wanted = task.window.padded(plan.context_px - plan.half_band_px)
    row, height = _input_span(wanted.row, wanted.height, source.height)
    col, width = _input_span(wanted.col, wanted.width, source.width)
    return Window(row, col, height, width)


def _input_span(start: int, length: int, size: int) -> tuple[int, int]:
    first = max(_align_down(start), 0)
    return first, min(_align(start + length), _align(size)) - first


def _offset_slices(window: Window, read: Window) -> tuple[slice, slice]:
    """Return the slices of ``window`` within the window read."""
    row, col = window.row - read.row, window.col - read.col
    return np.s_[row : row + window.height, col : col + window.width]


def _batches(
    along: Iterator[WindowTask], source: PixelSource, plan: WindowPlan
) -> Iterator[list[WindowTask]]:
    """Group neighbouring windows with inputs of the same size into batches."""
    for _, alike in groupby(along, lambda task: _size(_input_window(task, source, plan))):
        same = list(alike)
        for first in range(0, len(same), plan.batch):
            yield same[first : first + plan.batch]


def _size(window: Window) -> tuple[int, int]:
    return window.height, window.width


def _align(pixels: int) -> int:
    return -(-pixels // ALIGNMENT_PX) * ALIGNMENT_PX


def _align_down(pixels: int) -> int:
    return pixels // ALIGNMENT_PX * ALIGNMENT_PX
