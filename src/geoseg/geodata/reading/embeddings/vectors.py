"""Vectors of a raster of embeddings, read in windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.windows import Window

Vectors = tuple[NDArray[np.float32], NDArray[np.bool_]]
"""Values (B, h, w), and where they are values (B, h, w)."""


class VectorReader(Protocol):
    """Reads the values that a file of embeddings stands for."""

    @property
    def height(self) -> int:
        """Rows of pixels."""

    @property
    def width(self) -> int:
        """Columns of pixels."""

    def read(self, window: Window, bands: Sequence[int]) -> Vectors:
        """Return the decoded values of bands, 1-based, in a window inside the raster.

        Raises:
            RasterError: The file is damaged.
        """


@dataclass(frozen=True)
class EmbeddingPart:
    """Bands of an open file of embeddings.

    Attributes:
        vectors: The file.
        path: The file, for errors.
        bands: The bands to read, 1-based.
    """

    vectors: VectorReader
    path: Path
    bands: tuple[int, ...]

    def read(self, window: Window) -> Vectors:
        """Return the decoded values of the bands in a window inside the raster."""
        return self.vectors.read(window, self.bands)
