"""Features of images at points, by an inference graph."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.runtimes import onnx_session
from geoseg.inference.threads import cpu_threads
from geoseg.learning.features.patches import BatchPoints

Floats = NDArray[np.float32]


class GraphExtractor:
    """The layers of an inference graph, read at points and concatenated.

    Args:
        graph: ONNX model from images (N, B, H, W) to layers (N, F_i, h_i, w_i).
        insets_px: Pixels at the edges of the images that each layer leaves out; empty for none.
    """

    def __init__(self, graph: bytes, insets_px: Sequence[int] = ()) -> None:
        self._compute = onnx_session(graph, cpu_threads())
        self._insets_px = insets_px
        self.digest = hashlib.sha256(graph).hexdigest()
        """SHA-256 of the graph and its weights."""

    def __call__(self, images: Floats, at: BatchPoints) -> Floats:
        """Return features (P, F) at points of normalised images (N, B, H, W)."""
        layers, (height, width) = self._compute(np.ascontiguousarray(images)), images.shape[-2:]
        insets = self._insets_px or [0] * len(layers)
        found = [
            read_at_points(
                layer,
                replace(at, row=at.row - inset, col=at.col - inset),
                (height - 2 * inset, width - 2 * inset),
            )
            for layer, inset in zip(layers, insets, strict=True)
        ]
        return np.concatenate(found, axis=1)


def read_at_points(features: Floats, at: BatchPoints, size: tuple[int, int]) -> Floats:
    """Read feature maps bilinearly at points.

    The result equals bilinear upsampling of the maps to the size of the images, read at the points, as
    :func:`geoseg.networks.losses.point_sampling.read_at_points` does with tensors.

    Args:
        features: Maps (N, F, h, w).
        at: Points in the images.
        size: Height and width of the images in pixels.

    Returns:
        Values (P, F), float32.
    """
    height, width = features.shape[-2:]
    top, bottom, down = _neighbours(at.row, size[0], height)
    left, right, across = _neighbours(at.col, size[1], width)
    corners = [
        (top, left, (1 - down) * (1 - across)),
        (top, right, (1 - down) * across),
        (bottom, left, down * (1 - across)),
        (bottom, right, down * across),
    ]
    found = np.zeros((len(at.index), features.shape[1]), np.float32)
    for row, col, share in corners:
        found += features[at.index, :, row, col] * share[:, None].astype(np.float32)
    return found


def _neighbours(
    position: NDArray[np.float64], size: int, cells: int
) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float64]]:
    """Return the cells before and after each position along one axis, and the weight of the second."""
    place = np.clip((position + 0.5) * (cells / size) - 0.5, 0, cells - 1)
    before = place.astype(np.intp)
    return before, np.minimum(before + 1, cells - 1), place - before
