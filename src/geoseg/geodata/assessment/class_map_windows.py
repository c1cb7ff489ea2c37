"""Read class maps in windows, and at single pixels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.io import DatasetReader

from geoseg.domain.assessment.population import Part
from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.windows import Window, grid
from geoseg.geodata.outputs.class_maps import named_class_ids, read_legend_and_values
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import read_class_window
from geoseg.geodata.reading.opening import describe, open_upright
from geoseg.geodata.reading.pixel_areas import pixel_areas_m2

WINDOW_PX = 1024
_POINTS_PX = 512


class ClassMap:
    """An open class map.

    Attributes:
        info: Its grid.
        legend: Its classes; None if it has no class names and none were given, so that ids are the stored values.
    """

    def __init__(
        self, dataset: DatasetReader, info: RasterInfo, *, given: Legend | None, nodata: float | None
    ) -> None:
        self._dataset, self.info, self._nodata = dataset, info, nodata
        own, self._table = read_legend_and_values(info.path)
        self.legend = own or given
        if own is None and given is not None:
            self._table = _table_of(given)

    def read(self, window: Window) -> NDArray[np.uint8]:
        """Return the class ids (h, w) of a window inside the map, 255 for nodata.

        Raises:
            RasterError: The file cannot be read, or has several bands or fractional values.
            LegendError: A value is no class id, or has no name while others have one.
        """
        values = read_class_window(self._dataset, self.info, window)
        if self._nodata is not None:
            values = np.where(values == self._nodata, np.uint8(UNLABELLED), values)
        return (
            values
            if self.legend is None
            else named_class_ids(values, self.legend, self._table, path=self.info.path)
        )

    def classes_at(self, rows: NDArray[np.int64], cols: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the class ids (n,) of pixels; 255 for nodata and outside the map. Only blocks with pixels are read."""
        found = np.full(len(rows), UNLABELLED, np.uint8)
        height, width = self.info.height, self.info.width
        inside = np.flatnonzero((rows >= 0) & (rows < height) & (cols >= 0) & (cols < width))
        blocks = np.stack([rows[inside], cols[inside]], axis=1) // _POINTS_PX
        for block in np.unique(blocks, axis=0):
            own = inside[(blocks == block).all(axis=1)]
            row, col = int(rows[own].min()), int(cols[own].min())
            window = Window(row, col, int(rows[own].max()) - row + 1, int(cols[own].max()) - col + 1)
            found[own] = self.read(window)[rows[own] - row, cols[own] - col]
        return found


@contextmanager
def open_class_map(
    path: Path, *, legend: Legend | None = None, nodata: float | None = None
) -> Iterator[ClassMap]:
    """Open a class map.

    Args:
        path: A raster of one band of class ids 0..254.
        legend: The classes of a map without class names, by value or id.
        nodata: Value that means no data, in addition to the declared one.

    Raises:
        RasterError: The file cannot be read.
    """
    path = Path(path)
    with open_upright(path) as dataset:
        yield ClassMap(dataset, describe(dataset, path), given=legend, nodata=nodata)


def read_parts(
    class_map: ClassMap,
    strata: ClassMap | None,
    excluded: tuple[NDArray[np.int64], NDArray[np.int64]],
    *,
    cluster_px: int = 1,
) -> Iterator[Part]:
    """Yield the windows of a population, row by row; they start at multiples of ``cluster_px``.

    Args:
        class_map: The map.
        strata: A raster of strata on the same grid; None: the strata are the map classes.
        excluded: Rows and columns of pixels that may not be drawn.
        cluster_px: Side of the blocks of a cluster sample.
    """
    info = class_map.info
    size = max(1, WINDOW_PX // cluster_px) * cluster_px
    for window in grid(info.height, info.width, size):
        class_ids = class_map.read(window)
        stratum_ids = class_ids
        if strata is not None:
            stratum_ids = np.where(class_ids == UNLABELLED, np.uint8(UNLABELLED), strata.read(window))
        is_drawable = stratum_ids != UNLABELLED
        rows, cols = excluded[0] - window.row, excluded[1] - window.col
        own = (rows >= 0) & (rows < window.height) & (cols >= 0) & (cols < window.width)
        is_drawable[rows[own], cols[own]] = False
        yield Part(window, class_ids, stratum_ids, is_drawable, pixel_areas_m2(info, window))


def count_parts(info: RasterInfo, cluster_px: int) -> int:
    """Return the number of windows of :func:`read_parts`."""
    size = max(1, WINDOW_PX // cluster_px) * cluster_px
    return -(-info.height // size) * -(-info.width // size)


def _table_of(legend: Legend) -> NDArray[np.uint8]:
    table = np.full(UNLABELLED + 1, UNLABELLED, np.uint8)
    for one in legend.classes:
        value = one.id if one.value is None else one.value
        if 0 <= value < UNLABELLED:
            table[value] = one.id
    return table
