"""Measure how usable points are spread over their rasters."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.choices import stratified_choice
from geoseg.domain.point_patterns import NearestNeighbours, Site, nearest_neighbours
from geoseg.domain.points import Points
from geoseg.domain.ports import PixelSource
from geoseg.domain.windows import Window, grid
from geoseg.settings.points import BLOCK_PX
from geoseg.workflows.inputs import Rasters
from geoseg.workflows.points.point_metres import pixel_steps, positions_m

_WINDOW_PX, _MAX_WINDOWS = 128, 128


@dataclass(frozen=True)
class Spread:
    """How the used points are spread over the rasters.

    Attributes:
        neighbours: Nearest-neighbour index; None with too few points. Distances are in ``unit``.
        blocks: The blocks that validation by place would use.
        blocks_total: Number of blocks of this size in the rasters.
        points_per_block: Median and maximum over the blocks with points.
        block_m: Side of a block in metres; None without a CRS.
        unit: "m", or "px" without a CRS.
    """

    neighbours: NearestNeighbours | None
    blocks: Blocks
    blocks_total: int
    points_per_block: tuple[float, int]
    block_m: float | None
    unit: str

    @property
    def warnings(self) -> list[str]:
        """Possible problems, one sentence each."""
        if self.blocks.are_independent:
            return []
        return [self.blocks.describe()]

    def to_record(self) -> dict[str, Any]:
        """Return the spread as JSON values."""
        neighbours, median_max = self.neighbours, self.points_per_block
        return {
            "nearest_neighbour": None
            if neighbours is None
            else {
                "index": neighbours.index,
                "z": neighbours.z,
                "pattern": neighbours.pattern,
                "mean": neighbours.mean,
                "expected": neighbours.expected,
                "unit": self.unit,
            },
            "blocks": {
                "side_px": self.blocks.block_px,
                "side_m": self.block_m,
                "with_points": self.blocks.count,
                "total": self.blocks_total,
                "share_with_points": self.blocks.count / self.blocks_total,
                "points_median": median_max[0],
                "points_max": median_max[1],
                "are_independent": self.blocks.are_independent,
            },
        }


def measure_spread(used: Points, rasters: Rasters) -> Spread:
    """Measure the spread of one point or more over the parts of the rasters that have data.

    Args:
        used: The usable points.
        rasters: The open rasters.
    """
    infos = rasters.infos
    sites = [_site(used.on_image(name), rasters, name) for name in infos if name in used.image]
    blocks = find_blocks(used, BLOCK_PX)
    _, counts = np.unique(blocks.numbers, return_counts=True)
    total = sum(
        math.ceil(info.height / blocks.block_px) * math.ceil(info.width / blocks.block_px)
        for info in infos.values()
    )
    resolutions = [info.resolution_m for info in infos.values() if info.resolution_m is not None]
    block_m = blocks.block_px * float(np.median(resolutions)) if resolutions else None
    return Spread(
        nearest_neighbours(sites),
        blocks,
        total,
        (float(np.median(counts)), int(counts.max())),
        block_m,
        "m" if len(resolutions) == len(infos) else "px",
    )


def _site(points: Points, rasters: Rasters, name: str) -> Site:
    info, (rows, cols) = rasters.infos[name], pixel_steps(rasters.infos[name])
    share = _valid_share(rasters.sources[name])
    height, width = info.height * rows, info.width * cols
    return Site(positions_m(points, info), height * width * share, 2 * (height + width) * math.sqrt(share))


def _valid_share(source: PixelSource) -> float:
    """Return the share of valid pixels of a raster, estimated from at most 128 windows."""
    windows = list(grid(source.height, source.width, _WINDOW_PX))
    chosen: list[Window] = [windows[k] for k in stratified_choice([""] * len(windows), _MAX_WINDOWS)]
    valid = sum(int(source.read(window)[1].sum()) for window in chosen)
    read = sum(window.height * window.width for window in chosen)
    return max(valid, 1) / read
