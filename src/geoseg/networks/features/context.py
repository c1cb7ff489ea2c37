"""Measure how much context around a window a network needs.

The effective receptive field of a network is much smaller than its receptive field (Luo et al., "Understanding the
effective receptive field in deep convolutional neural networks", NeurIPS 2016), so it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from geoseg.domain.choices import stratified_choice
from geoseg.domain.points import TRAIN, Points
from geoseg.domain.ports import PixelSource, Predictor
from geoseg.domain.windows import Window, spaced_windows
from geoseg.learning.calibration import Calibration
from geoseg.networks.features.normalising import normalise
from geoseg.networks.features.point_features import FitData, Reader

CORE_PX = 64
STEP_PX = 32
PLACES = 6
TOLERANCE = 0.02
SHARE = 0.99


def measure_context(network: nn.Module, calibration: Calibration, data: FitData, *, reader: Reader) -> int:
    """Return the context in pixels at which 99 % of the pixels change by less than 0.02 with more context.

    Squares of 64 px around six of the points are predicted with increasing context. Their probabilities are compared
    with those for a context of a whole patch.

    Args:
        network: The network, on its device; set to evaluation mode.
        calibration: Calibration of the logits.
        data: Rasters and points.
        reader: How to read the rasters; the result is at most half a patch (at least 32 px).
    """
    network.eval()
    most = max(STEP_PX, reader.patch_px // STEP_PX * STEP_PX)
    images = [_read(window, name, data) for name, window in _places(data.points.with_role(TRAIN), most)]
    squares = [
        _square_predictor(image, network, calibration=calibration, data=data, reader=reader)
        for image in images
    ]
    return _least_context(squares, most)


def measure_predictor_context(predictor: Predictor, source: PixelSource, *, most_px: int = 256) -> int:
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
    squares = [
        _square_of_predictor(predictor, *image) for image in read[:: max(1, len(read) // PLACES)][:PLACES]
    ]
    return _least_context(squares, most_px) if squares else STEP_PX


def _square_of_predictor(
    predictor: Predictor, pixels: NDArray[np.float32], valid: NDArray[np.bool_]
) -> Callable[[int], Tensor]:
    """Return what :func:`_square_predictor` does, for a predictor and a window (B, s, s)."""

    def probabilities(context: int) -> Tensor:
        inset = (pixels.shape[-1] - CORE_PX) // 2 - context
        seen = np.s_[..., inset : pixels.shape[-1] - inset, inset : pixels.shape[-1] - inset]
        square = slice(context, context + CORE_PX)
        found = predictor.probabilities(pixels[None][seen], valid[None][seen])
        return torch.from_numpy(found[..., square, square])

    return probabilities


def _least_context(squares: Sequence[Callable[[int], Tensor]], most: int) -> int:
    """Return the least context with which squares have nearly the probabilities that they have with the most."""
    expected = [square(most) for square in squares]
    for context in range(STEP_PX, most // 2, STEP_PX):
        changes = [
            (square(context) - whole).abs().amax(dim=1)
            for square, whole in zip(squares, expected, strict=True)
        ]
        if float((torch.cat(changes) < TOLERANCE).float().mean()) >= SHARE:
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


def _read(window: Window, name: str, data: FitData) -> tuple[Tensor, Tensor]:
    pixels, valid = data.sources[name].read(window)
    return torch.from_numpy(pixels)[None], torch.from_numpy(valid)[None]


def _square_predictor(
    image: tuple[Tensor, Tensor],
    network: nn.Module,
    *,
    calibration: Calibration,
    data: FitData,
    reader: Reader,
) -> Callable[[int], Tensor]:
    """Return a function that maps a context to the probabilities (1, C, 64, 64) of the square."""
    device = torch.device(reader.device)
    normal = normalise(image[0].to(device), image[1].to(device), data.normalisation)
    side = normal.shape[-1]

    @torch.inference_mode()
    def probabilities(context: int) -> Tensor:
        inset = (side - CORE_PX) // 2 - context
        seen = normal[..., inset : side - inset, inset : side - inset].contiguous(
            memory_format=torch.channels_last
        )
        with torch.autocast(device.type, torch.bfloat16, enabled=reader.is_bf16):
            logits = network(seen)
        full = functional.interpolate(logits.float(), seen.shape[-2:], mode="bilinear", align_corners=False)
        square = slice(context, context + CORE_PX)
        return calibration.apply(full).softmax(dim=1)[..., square, square].cpu()

    return probabilities
