"""The rule that says which pixels of a raster are valid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Validity:
    """Which pixels are valid, among those that the raster's mask and alpha band let through.

    A band has no value where it equals the nodata value of the file or ``nodata``, and where it is not finite.

    Attributes:
        nodata: A value that stands for no data, in addition to the one that the file declares; None: no other value.
        is_strict: Whether one band without a value makes a pixel invalid. If not, all bands that are read must have
            none, as in rasterio's ``dataset_mask``.
    """

    nodata: float | None = None
    is_strict: bool = False

    def of_pixels(self, has_value: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return where pixels are valid (h, w), given where each band has a value (B, h, w)."""
        return np.asarray(has_value.all(axis=0) if self.is_strict else has_value.any(axis=0))


AS_DECLARED = Validity()
"""The file's own declaration, by the rule of rasterio's ``dataset_mask``."""
