"""Colour and texture features, for the forest and for bands that a backbone does not use."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES, GraphBuilder

BLURS = (1.0, 2.0, 4.0, 8.0)
"""Standard deviations of the Gaussians in pixels."""


def count_texture(channels: int) -> int:
    """Return F, the number of texture features of images with this number of channels."""
    return channels * (1 + 2 * len(BLURS))


def gaussian(deviation: float) -> NDArray[np.float32]:
    """Return the weights of a Gaussian, cut off at three standard deviations; they sum to 1."""
    reach = round(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    found: NDArray[np.float32] = (weights / weights.sum()).astype(np.float32)
    return found


def texture_graph(channels: int) -> bytes:
    """Return a graph from images to one output, ``texture``: their colour and texture (N, F, H, W)."""
    builder = GraphBuilder()
    return builder.build({"texture": add_texture(builder, IMAGES, channels)}, channels=channels)


def add_texture(builder: GraphBuilder, images: str, channels: int) -> str:
    """Add colour and texture of images (N, B, H, W) to a graph; return the name of the features (N, F, H, W).

    Features are the channels, Gaussian blurs of 1, 2, 4 and 8 px, and local standard deviations at these scales.
    """
    found = [images]
    square = builder.add("Mul", images, images)
    for blur in BLURS:
        mean, mean_of_square = (
            _add_blur(builder, taken, deviation=blur, channels=channels) for taken in (images, square)
        )
        variance = builder.add("Sub", mean_of_square, builder.add("Mul", mean, mean))
        found += [mean, builder.add("Sqrt", builder.add("Relu", variance))]
    return builder.add("Concat", *found, axis=1)


def _add_blur(builder: GraphBuilder, images: str, *, deviation: float, channels: int) -> str:
    weights = gaussian(deviation)
    reach = len(weights) // 2
    pads = builder.constant([0, 0, reach, reach, 0, 0, reach, reach], np.int64)
    blurred = builder.add("Pad", images, pads, mode="edge")
    for axis, shape in (("row", (1, -1)), ("column", (-1, 1))):
        kernel = np.tile(weights.reshape(1, 1, *shape), (channels, 1, 1, 1))
        name = builder.tensor(f"gaussian_{deviation:g}_{axis}", kernel)
        blurred = builder.add("Conv", blurred, name, group=channels, kernel_shape=kernel.shape[2:])
    return blurred
