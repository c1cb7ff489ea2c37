"""Read dataset folders: images, masks, split lists and a legend."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED, Legend
from geoseg.domain.windows import grid
from geoseg.errors import DatasetError
from geoseg.geodata.datasets.legend_files import read_legend
from geoseg.geodata.reading.embeddings.tessera import is_scales_file

RASTER_SUFFIXES = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".vrt")
TILE_PX = 512
"""Side of the tiles in the split lists of LandCover.ai."""
_NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Dataset:
    """The files of a dataset or of one of its splits.

    Attributes:
        folder: The folder that holds them all.
        images: Raster files by image name (file stem), in the order of the names.
        masks: Masks by the same names; an image without a mask is not in it.
        legend: The legend that was given, else that of ``legend.json``, else None.
        tiles: Where the list names tiles: the numbers of each image's tiles in it.
    """

    folder: Path
    images: Mapping[str, Path]
    masks: Mapping[str, Path]
    legend: Legend | None
    tiles: Mapping[str, Sequence[int]] = field(default_factory=dict)


def is_dataset(path: str | Path) -> bool:
    """Return whether ``path`` is a folder with a sub-folder ``images``."""
    return (Path(path) / "images").is_dir()


def open_dataset(
    folder: str | Path, *, split: str | None = None, legend: Legend | None = None, masks_needed: bool = False
) -> Dataset:
    """Find the files of a dataset.

    Args:
        folder: Holds ``images/``, and if there are any ``masks/`` (the same stems), ``<split>.txt``
            (stems or file names, one a line; blank lines and those that begin with # are skipped) and ``legend.json``.
            A line ``<stem>_<number>`` is one 512-px tile of an image, numbered as in LandCover.ai.
        split: Which list of stems to take; None takes every image.
        legend: Comes before the folder's own.
        masks_needed: Whether an image without a mask is an error.

    Raises:
        DatasetError: The folder, its images, the list, an image of the list or a mask is missing, or
            two files have the same stem.
        LegendError: ``legend.json`` is not a legend.
    """
    folder = Path(folder)
    every_image, every_mask = _images(folder), _rasters(folder / "masks")
    images, tiles = every_image, dict[str, list[int]]()
    if split is not None:
        stems = [_stem(line, images) for line in _lines_of_split(folder, split)]
        tiles = _tiles(stems, images)
        images = _chosen(images, list(tiles) or stems, folder / f"{split}.txt")
    masks = {stem: path for stem, path in every_mask.items() if stem in images}
    if masks_needed:
        _check_masks(folder, images, masks, unpaired=sorted(every_mask.keys() - every_image.keys()))
    return Dataset(folder, images, masks, legend or _own_legend(folder), tiles)


def _images(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DatasetError("no such folder", where=folder)
    images = _rasters(folder / "images")
    if not images:
        raise DatasetError(
            "the dataset has no images", where=folder, expected=f"images/*{{{','.join(RASTER_SUFFIXES)}}}"
        )
    return images


def rasters_in(folder: Path) -> dict[str, Path]:
    """Return the raster files of a folder without sub-folders by image name (file stem), sorted.

    Raises:
        DatasetError: There is none, or two files have the same stem.
    """
    found = _rasters(folder)
    if not found:
        endings = ",".join(RASTER_SUFFIXES)
        raise DatasetError(
            "the folder has no rasters", where=folder, expected=f"*{{{endings}}}, or a dataset with images/"
        )
    return found


def _rasters(folder: Path) -> dict[str, Path]:
    """Return the raster files of a folder by stem, sorted; empty if the folder does not exist."""
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.suffix.lower() not in RASTER_SUFFIXES or path.name.startswith("."):
            continue
        if path.stem in found:
            raise DatasetError(
                "two files have the same stem", where=folder, got=f"{found[path.stem].name} and {path.name}"
            )
        found[path.stem] = path
    return {stem: path for stem, path in sorted(found.items()) if not is_scales_file(path)}


def _lines_of_split(folder: Path, split: str) -> list[str]:
    path = folder / f"{split}.txt"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.txt"))) or "none"
        raise DatasetError(f"the dataset has no split {split!r}", where=path, expected=f"one of: {there}")
    try:
        lines = [line.strip() for line in path.read_text(encoding="utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise DatasetError("the list is not a text file in UTF-8", where=path) from error
    stems = [line for line in lines if line and not line.startswith("#")]
    if not stems:
        raise DatasetError("the split lists no image", where=path, expected="file stems, one a line")
    return stems


def _stem(line: str, images: Mapping[str, Path]) -> str:
    """Return the image stem of a line in a split list, which may contain an extension or a folder."""
    if line in images:
        return line
    name = line.replace("\\", "/").rpartition("/")[2]
    stem, dot, suffix = name.rpartition(".")
    return stem if dot and f".{suffix.lower()}" in RASTER_SUFFIXES and name not in images else name


def _tiles(stems: Sequence[str], images: Mapping[str, Path]) -> dict[str, list[int]]:
    """Return the tile numbers in a split list by image; empty unless all lines are tiles."""
    tiles = dict[str, list[int]]()
    for stem in stems:
        image, _, number = stem.rpartition("_")
        if stem in images or image not in images or not number.isdecimal():
            return {}
        tiles.setdefault(image, []).append(int(number))
    return {image: sorted(set(numbers)) for image, numbers in tiles.items()}


def keep_tiles(mask: NDArray[np.uint8], numbers: Sequence[int], *, where: Path) -> NDArray[np.uint8]:
    """Return a mask (H, W) with 255 outside the given tiles of 512 px.

    Tiles are numbered row by row over the whole grid, those cut by the border too, which are never used.

    Raises:
        DatasetError: The image has no such tile, or it is cut.
    """
    kept = np.full_like(mask, UNLABELLED)
    cells = list(grid(mask.shape[0], mask.shape[1], TILE_PX))
    for number in numbers:
        if number >= len(cells) or (cells[number].height, cells[number].width) != (TILE_PX, TILE_PX):
            raise DatasetError("the image has no such whole tile", where=where, got=f"tile {number}")
        cell = cells[number]
        box = np.s_[cell.row : cell.row + TILE_PX, cell.col : cell.col + TILE_PX]
        kept[box] = mask[box]
    return kept


def _chosen(images: Mapping[str, Path], stems: Sequence[str], where: Path) -> dict[str, Path]:
    missing = sorted(set(stems) - set(images))
    if missing:
        raise DatasetError(
            "the split lists images that are not in images/",
            where=where,
            expected=f"such as {_first(sorted(images)[:2])}",
            got=_first(missing),
        )
    return {stem: images[stem] for stem in sorted(set(stems))}


def _check_masks(
    folder: Path, images: Iterable[str], masks: Mapping[str, Path], *, unpaired: Sequence[str]
) -> None:
    missing = sorted(set(images) - set(masks))
    if missing:
        raise DatasetError(
            "images have no mask",
            where=folder / "masks",
            expected="a mask with the stem of each image",
            got=f"none for {_first(missing)}",
            hint=f"These have no image: {_first(unpaired)}." if unpaired else None,
        )


def _first(stems: Sequence[str]) -> str:
    more = len(stems) - _NAMED_AT_MOST
    return ", ".join(stems[:_NAMED_AT_MOST]) + (f" and {more} more" if more > 0 else "")


def legend_beside(mask: Path) -> Legend | None:
    """Return the legend for a mask: ``legend.json`` in its folder or the parent folder."""
    folders = (mask.resolve().parent, mask.resolve().parent.parent)
    return next((found for found in map(_own_legend, folders) if found is not None), None)


def _own_legend(folder: Path) -> Legend | None:
    path = folder / "legend.json"
    return read_legend(path) if path.is_file() else None
