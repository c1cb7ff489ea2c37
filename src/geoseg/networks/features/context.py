"""Measure how much context around a window a network needs.

The effective receptive field of a network is much smaller than its receptive field (Luo et al., "Understanding the
effective receptive field in deep convolutional neural networks", NeurIPS 2016), so it is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from geoseg.domain.choices import stratified_choice
from geoseg.domain.points import TRAIN, Points
from geoseg.domain.windows import Window
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
