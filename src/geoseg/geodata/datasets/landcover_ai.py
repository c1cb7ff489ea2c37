"""LandCover.ai v1: aerial orthophotos of Poland with dense masks.

Boguszewski et al., "LandCover.ai: Dataset for automatic mapping of buildings, woodlands, water and roads
from aerial imagery", CVPR Workshops 2021. Licence: CC BY-NC-SA 4.0.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rasterio.crs import CRS

from geoseg.domain.legend import LandClass, Legend
from geoseg.domain.ports import Progress
from geoseg.errors import DatasetError
from geoseg.geodata.datasets.folders import Dataset, open_dataset
from geoseg.geodata.datasets.legend_files import write_legend
from geoseg.geodata.outputs.atomic_files import write_text
from geoseg.geodata.reading.grids import RasterInfo
from geoseg.geodata.reading.masks import read_mask
from geoseg.geodata.reading.rasters import describe_raster

SHA256 = "dd448287ff3a76291f2b159084b8a265f2ba4559bb80b0551fc8c6c0eb149a4b"
LICENCE = "LandCover.ai is licensed under CC BY-NC-SA 4.0: name its authors, no commercial use, share alike."
LEGEND = Legend(
    (
        LandClass(0, "background", "#d8d3c6"),
        LandClass(1, "building", "#c0392b"),
        LandClass(2, "woodland", "#1e6f3c"),
        LandClass(3, "water", "#2a6fbb"),
        LandClass(4, "road", "#6b6b6b"),
    )
)
SPLITS = ("train", "val", "test")
_EPSG = 2180
# An orthophoto is more than 2 % of the area. The published area may be projected or true ground area; in EPSG:2180
# these differ by at most 0.2 % within Poland.
_SAME_AREA = 0.01


@dataclass(frozen=True)
class Published:
    """Checksum and contents of the archive: images by ground resolution in metres, tiles by split, area in km2."""

    sha256: str
    images: Mapping[float, int]
    tiles: Mapping[str, int]
    area_km2: float


PUBLISHED = Published(SHA256, {0.25: 33, 0.5: 8}, {"train": 7470, "val": 1602, "test": 1602}, 216.27)


@dataclass(frozen=True)
class Report:
    """Number of orthophotos, area in km2, and share of each class among all pixels."""

    images: int
    area_km2: float
    shares: dict[str, float]
    licence: str = LICENCE


def prepare(folder: Path, progress: Progress, published: Published) -> Report:
    """Check the unpacked files, add the legend and a split by orthophoto, and measure the class proportions.

    The official lists put tiles of one orthophoto into training and test. ``orthophoto-train.txt``,
    ``orthophoto-val.txt`` and ``orthophoto-test.txt`` keep each orthophoto whole.

    Args:
        folder: Holds ``images/``, ``masks/`` and the official lists.
        progress: Told of every mask.
        published: What must be there.

    Raises:
        DatasetError: Something is missing or is not as published.
    """
    dataset = open_dataset(folder, legend=LEGEND, masks_needed=True)
    infos = {name: describe_raster(path) for name, path in dataset.images.items()}
    _check_images(folder, infos, published)
    for split, count in published.tiles.items():
        found = sum(map(len, open_dataset(folder, split=split).tiles.values()))
        _expect(folder / f"{split}.txt", f"{count} tiles", f"{found} tiles", is_right=found == count)
    area = sum(i.height * i.width * (i.resolution_m or 0) ** 2 for i in infos.values()) / 1e6
    is_right = abs(area / published.area_km2 - 1) <= _SAME_AREA
    expected = f"{published.area_km2:.6g} km2, give or take {_SAME_AREA:.0%}"
    _expect(folder / "images", expected, f"{area:.6g} km2", is_right=is_right)
    counts = _count(dataset, infos, progress)
    for split, names in split_by_orthophoto(list(infos)).items():
        write_text(folder / f"orthophoto-{split}.txt", "\n".join(names) + "\n")
    write_legend(folder / "legend.json", LEGEND, overwrite=True)
    shares = dict(zip(LEGEND.names, (counts / counts.sum()).tolist(), strict=True))
    return Report(len(infos), area, shares)


def split_by_orthophoto(names: list[str]) -> dict[str, list[str]]:
    """Split complete orthophotos 70 : 15 : 15, in the order of the hashes of their names."""
    order = sorted(names, key=lambda name: hashlib.sha256(name.encode()).hexdigest())
    held = max(1, round(0.15 * len(order)))
    parts = {"test": order[:held], "val": order[held : 2 * held], "train": order[2 * held :]}
    return {split: sorted(parts[split]) for split in SPLITS}


def _check_images(folder: Path, infos: Mapping[str, RasterInfo], published: Published) -> None:
    found = Counter(round(info.resolution_m or 0, 2) for info in infos.values())
    expected = ", ".join(f"{n} at {m} m" for m, n in published.images.items())
    got = ", ".join(f"{n} at {m} m" for m, n in sorted(found.items()))
    _expect(folder / "images", expected, got, is_right=dict(found) == dict(published.images))
    for info in infos.values():
        code = CRS.from_user_input(info.crs).to_epsg() if info.crs else None
        _expect(info.path, f"EPSG:{_EPSG}", f"EPSG:{code}", is_right=code == _EPSG)


def _expect(where: Path, expected: str, got: object, *, is_right: bool) -> None:
    if not is_right:
        raise DatasetError(
            "the folder differs from the published LandCover.ai v1",
            where=where,
            expected=expected,
            got=got,
            hint="Name a folder that is not there yet, and the archive is unpacked into it.",
        )


def _count(dataset: Dataset, infos: Mapping[str, RasterInfo], progress: Progress) -> NDArray[np.int64]:
    counts = np.zeros(len(LEGEND), np.int64)
    progress.start("Counting classes", len(infos))
    for name, info in infos.items():
        mask = read_mask(dataset.masks[name], LEGEND, info)
        counts += np.bincount(mask.ravel(), minlength=256)[: len(LEGEND)]
        progress.advance()
    return counts
