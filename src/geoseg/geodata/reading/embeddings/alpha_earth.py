"""AlphaEarth embeddings: 64 bands of int8 that stand for vectors of length 1.

"AlphaEarth Foundations GCS data", developers.google.com/earth-engine/guides/aef_on_gcs_readme: -128 is a masked pixel
in all bands, and x stands for sign(x) (x / 127.5)^2. The files are bottom-up: their first row is the southernmost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from affine import Affine
from rasterio.io import DatasetReader

from geoseg.domain.feature_spaces import ALPHA_EARTH, FeatureSpace
from geoseg.domain.windows import Window
from geoseg.errors import RasterError
from geoseg.geodata.reading.embeddings.vectors import EmbeddingPart, Vectors
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.opening import read_bands

BANDS, NODATA = 64, -128
NAMES = tuple(f"A{band:02}" for band in range(BANDS))
"""Names of the bands, in these files and in exports of Earth Engine."""
_STORED = np.arange(256, dtype=np.uint8).view(np.int8).astype(np.float64)
_VALUES = (np.sign(_STORED) * (_STORED / 127.5) ** 2).astype(np.float32)
"""Value by stored byte."""


class AlphaEarthVectors:
    """An open file of quantised AlphaEarth embeddings, read from north to south. Overviews, which are means, are not read.

    Args:
        dataset: The file.
        path: Its path, for errors.
        is_bottom_up: Whether the first stored row is the southernmost.
    """

    def __init__(self, dataset: DatasetReader, path: Path, *, is_bottom_up: bool) -> None:
        self._dataset, self._path, self._is_bottom_up = dataset, path, is_bottom_up
        self.height, self.width = int(dataset.height), int(dataset.width)

    def read(self, window: Window, bands: Sequence[int]) -> Vectors:
        """Return the decoded values of bands in a window inside the raster."""
        if self._is_bottom_up:
            window = replace(window, row=self.height - window.row - window.height)
        stored, has_value = read_bands(self._dataset, self._path, bands=list(bands), window=window)
        if self._is_bottom_up:
            stored, has_value = stored[:, ::-1], has_value[:, ::-1]
        return _VALUES[stored.view(np.uint8)], has_value


def is_alpha_earth(dataset: DatasetReader) -> bool:
    """Return whether a raster has the bands of quantised AlphaEarth embeddings."""
    return dataset.count == BANDS and set(dataset.dtypes) == {"int8"}


def open_alpha_earth(dataset: DatasetReader, info: RasterInfo) -> tuple[RasterInfo, EmbeddingPart]:
    """Return the description and the bands of an open file.

    Raises:
        RasterError: It declares another nodata value than -128, or none.
    """
    if set(dataset.nodatavals) != {float(NODATA)}:
        raise RasterError(
            "64 bands of int8 without the nodata value -128 cannot be decoded",
            where=info.path,
            expected="AlphaEarth embeddings, which declare nodata -128 in all bands",
            got="no nodata value" if info.nodata is None else f"nodata {info.nodata:g}",
            hint=f"If they are AlphaEarth embeddings, declare it: gdal_edit.py -a_nodata -128 {info.path.name}",
        )
    a, b, c, d, e, f = info.transform
    is_bottom_up = e > 0 and b == d == 0
    if is_bottom_up:
        info = replace(info, transform=tuple(Affine(a, b, c, d, -e, f + e * info.height))[:6])
    space = FeatureSpace(BANDS, ALPHA_EARTH, dataset.tags().get("MODEL_VERSION"))
    info = replace(info, dtype="float32", nodata=None, feature_space=space)
    vectors = AlphaEarthVectors(dataset, info.path, is_bottom_up=is_bottom_up)
    return info, EmbeddingPart(vectors, info.path, tuple(range(1, BANDS + 1)))
