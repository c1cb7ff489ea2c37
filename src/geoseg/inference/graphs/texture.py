"""Colour and texture features, for the forest and for bands that a backbone does not use.

Wide blurs are computed on coarser grids, as in a Gaussian pyramid (Burt and Adelson, "The Laplacian pyramid as a
compact image code", 1983), which takes a fifth of the time.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES, GraphBuilder, add_upsampling

FINE_BLURS = (1.0, 2.0)
"""Standard deviations in pixels of the Gaussians on the grid of the image."""
COARSE_LEVELS = 2
"""Blurs of 4 and 8 px follow, each on a grid of half the resolution of the one before."""
COARSE_BLUR = math.sqrt(47) / 4
"""Standard deviation of both in their own cells: the blur before (2 px, 4 px) and the mean over 2 x 2 cells are part of
the result, 47/16 = 8^2/4^2 - (4^2 + 1)/4^2 cells squared remain."""
_LANES = 8
"""Runtimes compute this many channels at once; fewer take as long."""


def count_texture(channels: int) -> tuple[int, ...]:
    """Return F_i, the number of texture features of images with this number of channels, at strides 1, 2 and 4."""
    return (channels * (1 + 2 * len(FINE_BLURS)), *(2 * channels for _ in range(COARSE_LEVELS)))


def gaussian(deviation: float) -> NDArray[np.float32]:
    """Return the weights of a Gaussian, cut off at three standard deviations; they sum to 1."""
    reach = round(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    found: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return found


def texture_graph(channels: int) -> bytes:
    """Return a graph from images to their colour and texture (N, F_i, h_i, w_i), one output for each stride."""
    builder = GraphBuilder()
    layers = add_texture(builder, IMAGES, channels)
    return builder.build({f"texture_{n}": layer for n, layer in enumerate(layers)}, channels=channels)


def add_full_texture(builder: GraphBuilder, images: str, channels: int) -> str:
    """Add colour and texture of images (N, B, H, W), upsampled, to a graph; return the name of the features (N, F, H, W)."""
    fine, *coarse = add_texture(builder, images, channels)
    return builder.add("Concat", fine, *(add_upsampling(builder, maps, images) for maps in coarse), axis=1)


def add_texture(builder: GraphBuilder, images: str, channels: int) -> list[str]:
    """Add colour and texture of images (N, B, H, W) to a graph; return the names of the features (N, F_i, h_i, w_i).

    Features are the channels, and their local means and standard deviations under Gaussians of 1 and 2 px (stride 1),
    4 px (stride 2) and 8 px (stride 4). Height and width must be multiples of 4.
    """
    both, lanes = builder.add("Concat", images, builder.add("Mul", images, images), axis=1), 2 * channels
    if spare := -lanes % _LANES:
        both = builder.add("Pad", both, builder.constant([0, 0, 0, 0, 0, spare, 0, 0], np.int64))
        lanes += spare
    blurred = [_add_blur(builder, both, deviation=blur, lanes=lanes) for blur in FINE_BLURS]
    fine = [images] + [part for maps in blurred for part in _add_moments(builder, maps, channels)]
    layers, last = [builder.add("Concat", *fine, axis=1)], blurred[-1]
    for _ in range(COARSE_LEVELS):
        half = builder.add("AveragePool", last, kernel_shape=[2, 2], strides=[2, 2])
        last = _add_blur(builder, half, deviation=COARSE_BLUR, lanes=lanes)
        layers.append(builder.add("Concat", *_add_moments(builder, last, channels), axis=1))
    return layers


def _add_moments(builder: GraphBuilder, blurred: str, channels: int) -> tuple[str, str]:
    """Add the means and standard deviations, given the blurred channels followed by the blurred squares."""
    mean, mean_of_square = (
        builder.add(
            "Slice", blurred, *(builder.constant([n], np.int64) for n in (first, first + channels, 1))
        )
        for first in (0, channels)
    )
    variance = builder.add("Sub", mean_of_square, builder.add("Mul", mean, mean))
    return mean, builder.add("Sqrt", builder.add("Relu", variance))


def _add_blur(builder: GraphBuilder, maps: str, *, deviation: float, lanes: int) -> str:
    weights = gaussian(deviation)
    reach = len(weights) // 2
    pads = builder.constant([0, 0, reach, reach, 0, 0, reach, reach], np.int64)
    blurred = builder.add("Pad", maps, pads, mode="edge")
    for axis, shape in (("row", (1, -1)), ("column", (-1, 1))):
        kernel = np.tile(weights.reshape(1, 1, *shape), (lanes, 1, 1, 1))
        name = builder.tensor(f"gaussian_{deviation:.3g}_{axis}", kernel)
        blurred = builder.add("Conv", blurred, name, group=lanes, kernel_shape=kernel.shape[2:])
    return blurred
