"""A raster as a page shows it: tiles, stretch, histogram and pixel values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.pyramid import count_levels, level_step, tile_window
from geoseg.domain.windows import Window
from geoseg.errors import SettingsError
from geoseg.geodata.projects.page_frames import page_frame
from geoseg.geodata.reading.identity import raster_identity
from geoseg.geodata.reading.previews import Preview, RasterPool
from geoseg.pictures.map_tiles import image_tile
from geoseg.workflows.labelling.project_files import ProjectRaster

HISTOGRAM_BINS = 64
_SHARES = (2.0, 98.0)
_KEY_DIGITS = 16
Limits = tuple[float, float]


class PageRaster:
    """A raster of a project, open for tiles.

    Args:
        described: The raster in the project.
        cache: Folder of coarse copies of rasters.

    Raises:
        RasterError: The raster cannot be read.
    """

    def __init__(self, described: ProjectRaster, cache: Path) -> None:
        self.id, self.name, self.path = described.id, described.name, described.path
        self.pool = RasterPool(described.path)
        self.info = self.pool.info
        self.frame = page_frame(self.info)
        identity = json.dumps(raster_identity(described.path)).encode()
        self.key = hashlib.sha256(identity).hexdigest()[:_KEY_DIGITS]
        """Text that changes with the files of the raster."""
        self.levels = count_levels(self.info.height, self.info.width)
        self._preview = Preview(self.pool, cache / self.key, self.levels)
        self.limits = [_limits(values) for values in self._preview.values]
        """Values of each band, from its 2nd to its 98th percentile."""

    def build_preview(self, is_stopping: Callable[[], bool]) -> None:
        """Build the coarse copies, unless they exist."""
        self._preview.build(is_stopping)

    @property
    def has_preview(self) -> bool:
        """Whether overviews are complete; until then they show few samples."""
        return self._preview.is_ready

    def default_display(self) -> dict[str, Any]:
        """Return the bands that are shown first, and their stretch: one for all bands of an 8-bit photograph."""
        bands = [1, 2, 3] if self.info.bands >= 3 else [1]
        stretch = [list(self.limits[band - 1]) for band in bands]
        if self.info.dtype == "uint8":
            stretch = [[min(low for low, _ in stretch), max(high for _, high in stretch)]] * len(bands)
        return {"bands": bands, "stretch": stretch}

    def tile(
        self, level: int, col: int, row: int, *, bands: Sequence[int], stretch: Sequence[Limits]
    ) -> bytes | None:
        """Return a PNG tile; None for a tile that the grid does not have.

        Raises:
            SettingsError: A band does not exist, or the stretch does not fit the bands.
        """
        self.check_display(bands, stretch)
        window = self.tile_window(level, col, row)
        if window is None:
            return None
        pixels, valid = self._preview.read(window, level_step(self.levels, level), bands)
        return image_tile(pixels, valid, stretch)

    def tile_window(self, level: int, col: int, row: int) -> Window | None:
        """Return the pixels under a tile; None if it lies outside the raster."""
        if not 0 <= level < self.levels or col < 0 or row < 0:
            return None
        window = tile_window(self.levels, level, col=col, row=row)
        inside = window.row < self.info.height and window.col < self.info.width
        return window if inside else None

    def histogram(self, band: int) -> dict[str, Any]:
        """Return the counts of values of a band in 64 equal bins, from a sample of the raster."""
        self.check_display([band], [(0, 1)])
        values = self._preview.values[band - 1]
        low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
        if self.info.dtype == "uint8":
            low, high = 0.0, 255.0
        counts, _ = np.histogram(values, HISTOGRAM_BINS, (low, high if high > low else low + 1))
        return {"counts": counts.tolist(), "low": low, "high": high}

    def pixel(self, row: int, col: int) -> list[dict[str, Any]] | None:
        """Return the values of all bands at a pixel, null where invalid; None outside the raster."""
        if not (0 <= row < self.info.height and 0 <= col < self.info.width):
            return None
        pixels, valid = self.pool.read(Window(row, col, 1, 1), range(1, 1 + self.info.bands))
        values = [float(value) for value in pixels[:, 0, 0]]
        is_valid = bool(valid[0, 0])
        return [
            {"index": n, "value": value if is_valid and np.isfinite(value) else None}
            for n, value in enumerate(values, 1)
        ]

    def window_of(self, extent: Sequence[float]) -> Window:
        """Return the pixels of the raster inside an extent of the page; empty if there is none."""
        west, south, east, north = extent
        corners = [self.frame.to_rowcol(x, y) for x, y in ((west, north), (east, south))]
        (top, left), (bottom, right) = corners
        first = int(np.floor(top + 1e-6)), int(np.floor(left + 1e-6))
        last = int(np.ceil(bottom - 1e-6)), int(np.ceil(right - 1e-6))
        window = Window(*first, max(0, last[0] - first[0]), max(0, last[1] - first[1]))
        return window.clipped(self.info.height, self.info.width)

    def describe(self, display: dict[str, Any]) -> dict[str, Any]:
        """Return the description of the raster for the page."""
        info, frame = self.info, self.frame
        return {
            "id": self.id,
            "name": self.name,
            "path": str(self.path),
            "width": info.width,
            "height": info.height,
            "bands": [
                {"index": n, "name": f"Band {n}", "dtype": info.dtype, "low": low, "high": high}
                for n, (low, high) in enumerate(self.limits, 1)
            ],
            "crs": frame.crs,
            "transform": list(frame.transform)[:6],
            "extent": list(frame.extent),
            "pixel_m": info.resolution_m,
            "levels": self.levels,
            "display": {**self.default_display(), **display},
        }

    def close(self) -> None:
        """Close the files."""
        self.pool.close()

    def check_display(self, bands: Sequence[int], stretch: Sequence[Limits]) -> None:
        """Check that bands and stretch fit the raster.

        Raises:
            SettingsError: They do not.
        """
        if len(bands) not in (1, 3) or not all(1 <= band <= self.info.bands for band in bands):
            raise SettingsError(
                "these bands cannot be shown",
                where="bands",
                expected=f"one or three of 1 to {self.info.bands}",
                got=", ".join(map(str, bands)) or "none",
            )
        if len(stretch) != len(bands) or not all(np.isfinite(pair).all() for pair in stretch):
            raise SettingsError("two numbers are needed for each band", where="stretch", got=len(stretch))


def _limits(values: NDArray[np.float32]) -> Limits:
    if not values.size:
        return 0.0, 1.0
    low, high = (float(value) for value in np.percentile(values, _SHARES))
    return (low, high) if high > low else (float(values.min()), float(values.max()))
