"""Class probabilities of cells by a linear head, at any power-of-two step.

A linear head commutes with bilinear upsampling and with means, so it is applied to each map at its own resolution.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.learning.heads.logistic import Probe
from geoseg.learning.live.cells import COARSE_STRIDE, Cell

COARSE_STEP = 8
"""From this step on, the means in squares of 16 px are mapped instead of the features themselves."""
Floats = NDArray[np.float32]


def cell_logits(cell: Cell, strides: Sequence[int], probe: Probe, *, step: int) -> Floats:
    """Return logits (C, n, n) of a cell, with n = 512 / step.

    Args:
        cell: The cell; with a step of 8 or more, its ``maps`` are not used.
        strides: Strides of its maps.
        probe: The head.
        step: Pixels of the raster along a side of one value, a power of 2 up to 512.
    """
    if step >= COARSE_STEP:
        return coarse_logits(cell.coarse, probe, step)
    counts = [len(one) for one in cell.maps]
    weights = np.split(probe.weight, np.cumsum(counts)[:-1], axis=1)
    by_stride = dict[int, Floats]()
    for one, stride, weight in zip(cell.maps, strides, weights, strict=True):
        logits = _project(weight, one)
        by_stride[stride] = by_stride[stride] + logits if stride in by_stride else logits
    bias = probe.bias[:, None, None]
    if step > 1:
        return sum((_resampled(logits, stride, step) for stride, logits in by_stride.items()), start=bias)
    # All maps meet at the finest stride, which is upsampled once: a quarter of the work.
    finest = min(by_stride)
    total = by_stride.pop(finest) + bias
    for stride, logits in by_stride.items():
        total += _with_ring(logits, stride // finest)
    return _resampled(total, finest, step)


def coarse_logits(coarse: NDArray[np.float16], probe: Probe, step: int) -> Floats:
    """Return logits (C, n, n) of a cell from its means in squares of 16 px (F, 34, 34)."""
    return _resampled(_project(probe.weight, coarse), COARSE_STRIDE, step) + probe.bias[:, None, None]


def softmax(logits: Floats, temperature: float) -> Floats:
    """Return probabilities (C, ...) of logits (C, ...)."""
    scaled = logits / np.float32(temperature)
    scaled -= scaled.max(axis=0)
    np.exp(scaled, out=scaled)
    scaled /= scaled.sum(axis=0)
    return scaled


def _project(weight: Floats, features: NDArray[np.float16]) -> Floats:
    flat = features.reshape(len(features), -1).astype(np.float32)
    return (weight @ flat).reshape(len(weight), *features.shape[1:])


def _resampled(logits: Floats, stride: int, step: int) -> Floats:
    """Bring logits with a ring of neighbours (C, n + 2, n + 2) to the cells of ``step`` pixels."""
    if stride > step:
        return _upsampled(_upsampled(logits, stride // step, axis=1), stride // step, axis=2)
    inner = logits[:, 1:-1, 1:-1]
    if stride == step:
        return inner
    count, height, width = inner.shape
    factor = step // stride
    blocks = inner.reshape(count, height // factor, factor, width // factor, factor)
    found: Floats = blocks.mean(axis=(2, 4), dtype=np.float32)
    return found


def _with_ring(values: Floats, factor: int) -> Floats:
    """Upsample values with a ring of neighbours (C, n + 2, n + 2) bilinearly, and keep a ring around the result."""
    for axis in (1, 2):
        along = np.moveaxis(values, axis, 0)
        share = np.float32(0.5 - 0.5 / factor)
        first = along[0] + share * (along[1] - along[0])
        last = along[-1] + share * (along[-2] - along[-1])
        inner = np.moveaxis(_upsampled(values, factor, axis=axis), axis, 0)
        values = np.moveaxis(np.concatenate([first[None], inner, last[None]]), 0, axis)
    return values


def _upsampled(values: Floats, factor: int, *, axis: int) -> Floats:
    """Upsample values with one neighbour at each end bilinearly along an axis; the neighbours are dropped."""
    along = np.moveaxis(values, axis, 0)
    count = len(along) - 2
    found = np.empty((count, factor, *along.shape[1:]), np.float32)
    for phase in range(factor):
        place = (phase + 0.5) / factor + 0.5
        first, share = int(place), np.float32(place - int(place))
        before, after = along[first : first + count], along[first + 1 : first + 1 + count]
        found[:, phase] = before + share * (after - before)
    flat: Floats = np.moveaxis(found.reshape(count * factor, *along.shape[1:]), 0, axis)
    return flat
