"""Measure how much context around a window a network needs.

The effective receptive field of a network is much smaller than its receptive field (Luo et al., "Understanding the
effective receptive field in deep convolutional neural networks", NeurIPS 2016), so it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.choices import stratified_choice
from geoseg.domain.points import TRAIN, Points
from geoseg.domain.ports import PixelSource, Predictor
from geoseg.domain.windows import Window, spaced_windows
from geoseg.learning.features.reading import FitData

CORE_PX = 64
STEP_PX = 32
PLACES = 6
TOLERANCE = 0.02
SHARE = 0.99


def measure_context(predictor: Predictor, data: FitData, *, patch_px: int) -> int:
    """Return the context in pixels at which 99 % of the pixels change by less than 0.02 with more context.

    Squares of 64 px around six of the points are predicted with increasing context. Their probabilities are compared
    with those for a context of a whole patch.

    Args:
        predictor: The model.
        data: Rasters and points.
        patch_px: Side of the training patches; the result is at most half of it (at least 32 px).
    """
    most = max(STEP_PX, patch_px // STEP_PX * STEP_PX)
    squares = [
        _square(predictor, *data.sources[name].read(window))
        for name, window in _places(data.points.with_role(TRAIN), most)
    ]
    return _least_context(squares, most)


def measure_context_anywhere(predictor: Predictor, source: PixelSource, *, most_px: int = 256) -> int:
    """Return the context in pixels that any predictor needs on a raster, as :func:`measure_context` defines it.

    Compared are answers for six squares spread over the raster.

    Args:
        predictor: The model.
        source: The raster.
        most_px: The context that the answers are compared with, a multiple of 32; half of it is the answer when
            nothing less will do.
    """
    side = CORE_PX + 2 * most_px
    places = spaced_windows(source.height, source.width, CORE_PX, most=3, step=STEP_PX)
    windows = [Window(place.row - most_px, place.col - most_px, side, side) for place in places]
    read = [image for image in map(source.read, windows) if image[1].any()]
    squares = [_square(predictor, *image) for image in read[:: max(1, len(read) // PLACES)][:PLACES]]
    return _least_context(squares, most_px) if squares else STEP_PX


def _square(
    predictor: Predictor, pixels: NDArray[np.float32], valid: NDArray[np.bool_]
) -> Callable[[int], NDArray[np.float32]]:
    """Return a function from a context to the probabilities (1, C, 64, 64) of the square in a window (B, s, s)."""

    def probabilities(context: int) -> NDArray[np.float32]:
        inset = (pixels.shape[-1] - CORE_PX) // 2 - context
        seen = np.s_[..., inset : pixels.shape[-1] - inset, inset : pixels.shape[-1] - inset]
        square = slice(context, context + CORE_PX)
        return predictor.probabilities(pixels[None][seen], valid[None][seen])[..., square, square]

    return probabilities


def _least_context(squares: Sequence[Callable[[int], NDArray[np.float32]]], most: int) -> int:
    """Return the least context with which squares have nearly the probabilities that they have with the most."""
    expected = [square(most) for square in squares]
    for context in range(STEP_PX, most // 2, STEP_PX):
        changes = [
            np.abs(square(context) - whole).max(axis=1)
            for square, whole in zip(squares, expected, strict=True)
        ]
        if (np.concatenate(changes) < TOLERANCE).mean() >= SHARE:
            return context
    return max(STEP_PX, most // 2)


def _places(points: Points, most: int) -> Sequence[tuple[str, Window]]:
    chosen = stratified_choice(points.class_id, PLACES)
    side = CORE_PX + 2 * most
    return [
        (
            str(points.image[k]),
            Window(
                int(points.row[k]) // STEP_PX * STEP_PX - most,
                int(points.col[k]) // STEP_PX * STEP_PX - most,
                side,
                side,
            ),
        )
        for k in chosen
    ]
