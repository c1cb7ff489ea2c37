"""The rule for valid pixels of a raster."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


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
