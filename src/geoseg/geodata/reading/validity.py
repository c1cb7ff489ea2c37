"""The rule for valid pixels of a raster, and their lookup."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window

_BLOCK_PX = 256


@dataclass(frozen=True)
class Validity:
    """Rule for valid pixels, in addition to the mask and alpha band of the raster.

    A band has no value where it equals the nodata value of the file or ``nodata``, and where it is not finite.

    Attributes:
        nodata: A nodata value in addition to the declared one; None: only the declared one.
        is_strict: Whether one band without a value makes a pixel invalid. If False, a pixel is invalid only if all read
            bands have no value, as in rasterio's ``dataset_mask``.
    """

    nodata: float | None = None
    is_strict: bool = False

    def of_pixels(self, has_value: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return the valid pixels (h, w) from the bands with values (B, h, w)."""
        return np.asarray(has_value.all(axis=0) if self.is_strict else has_value.any(axis=0))


AS_DECLARED = Validity()
"""The declaration in the file, with the rule of rasterio's ``dataset_mask``."""


def valid_at(source: PixelSource, pixels: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether a raster is valid at rows and columns (P, 2).

    Of each block of 256 px, only the part with such pixels is read.
    """
    valid = np.zeros(len(pixels), np.bool_)
    blocks, block_of = np.unique(pixels // _BLOCK_PX, axis=0, return_inverse=True)
    block_of = block_of.ravel()  # NumPy 2.0.0 returns another shape
    order = np.argsort(block_of, kind="stable")
    for own in np.split(order, np.searchsorted(block_of[order], np.arange(1, len(blocks)))):
        first, last = pixels[own].min(axis=0), pixels[own].max(axis=0)
        height, width = (last - first + 1).tolist()
        _, valid_there = source.read(Window(int(first[0]), int(first[1]), height, width))
        row, col = (pixels[own] - first).T
        valid[own] = valid_there[row, col]
    return valid
