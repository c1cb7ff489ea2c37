"""Write synthetic landscapes as a dataset."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.transform import Affine

from geoseg.domain.landscape.composition import LANDSCAPE_CLASSES, generate_landscape
from geoseg.domain.landscape.day import choose_day
from geoseg.domain.legend import LandClass, Legend
from geoseg.domain.ports import Progress
from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.geodata.outputs.atomic_files import whole_file, write_text

CRS = "EPSG:25832"
_WEST, _NORTH, _APART_M = 600_000.0, 5_700_000.0, 10_000.0


def landscape_legend() -> Legend:
    """Return the legend of the synthetic landscapes."""
    return Legend(tuple(LandClass(i, n, c) for i, (n, c) in enumerate(LANDSCAPE_CLASSES)))


def write_landscapes(
    folder: Path,
    seeds: Mapping[str, Sequence[int]],
    *,
    size: int,
    resolution_m: float,
    progress: Progress,
) -> None:
    """Generate one landscape per seed and write them as a dataset with train and test lists.

    They lie apart on the ground and were photographed on the same day, that of the first seed.

    Args:
        folder: Where ``images/``, ``masks/``, a list for each split and ``legend.json`` go.
        seeds: Seeds of the landscapes of each split ("train", "test").
        size: Rows and columns.
        resolution_m: Ground sampling distance in metres.
        progress: Advanced once a landscape.

    Raises:
        OutputError: The folder cannot be written.
    """
    progress.start("Inventing landscapes", sum(map(len, seeds.values())))
    every = [seed for own in seeds.values() for seed in own]
    day = choose_day(np.random.default_rng(every[0]))
    for place, seed in enumerate(every):
        scene = generate_landscape(seed, size, size, resolution_m, day=day)
        transform = Affine(resolution_m, 0, _WEST + place * _APART_M, 0, -resolution_m, _NORTH)
        _write(folder / "images" / f"scene-{seed}.tif", scene.image, transform)
        _write(folder / "masks" / f"scene-{seed}.tif", scene.mask[None], transform, nodata=255)
        progress.advance()
    for split, own in seeds.items():
        write_text(folder / f"{split}.txt", "".join(f"scene-{seed}\n" for seed in own))
    write_legend(folder / "legend.json", landscape_legend(), True)


def _write(path: Path, bands: NDArray[np.uint8], transform: Affine, *, nodata: int | None = None) -> None:
    count, height, width = bands.shape
    profile = {"driver": "GTiff", "dtype": "uint8", "crs": CRS, "nodata": nodata, "compress": "deflate"}
    tiling = {"tiled": True, "blockxsize": 256, "blockysize": 256}
    with (
        whole_file(path, overwrite=True) as partial,
        rasterio.open(
            partial, "w", count=count, height=height, width=width, transform=transform, **profile, **tiling
        ) as out,
    ):
        out.write(bands)
