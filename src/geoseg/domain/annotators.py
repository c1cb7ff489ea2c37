"""Simulated annotators: the positions of their points in a mask, and their errors."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.points import Points, join_points
from geoseg.domain.windows import grid

Mask = NDArray[np.uint8]
Places = Literal["pixel", "component", "interior", "centre"]


@dataclass(frozen=True)
class Annotator:
    """A simulated annotator.

    Attributes:
        places: Position of a point: any "pixel" of its class; "component" draws a connected component, independent of
            its size, then a pixel of it; "interior" keeps a distance from other classes; "centre" is the middle of a
            component.
        margin_px: Distance of "interior" from other classes in pixels.
        jitter_px: Maximum deviation from a "centre" in pixels, within the class.
        location_error_px: Maximum location error in pixels, at least 1 and regardless of the class; 0 for none.
        wrong_share: Share of an image's points with a wrong label; a fractional number is rounded up or down at
            random.
    """

    places: Places = "pixel"
    margin_px: int = 3
    jitter_px: float = 2.0
    location_error_px: float = 0.0
    wrong_share: float = 0.0


class Candidates(Mapping[str, Mask]):
    """Masks (H, W) by image name, 255 where the annotator places no point.

    Args:
        masks: Class ids, 255 for unlabelled; each is read on access.
        annotator: The annotator.
        tile_px: Side of the tiles, if budgets apply per tile. Components end at the borders of tiles.
    """

    def __init__(self, masks: Mapping[str, Mask], annotator: Annotator, tile_px: int | None = None) -> None:
        self._masks, self._annotator, self._tile_px = masks, annotator, tile_px

    def __getitem__(self, image: str) -> Mask:
        mask = self._masks[image]
        if self._annotator.places == "interior":
            return _interior(mask, self._annotator.margin_px)
        if self._annotator.places != "centre":
            return mask
        kept = np.empty_like(mask)
        for box in _boxes(mask, self._tile_px):
            kept[box] = _centres(mask[box])
        return kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)


class ComponentKeyFactors(Mapping[str, NDArray[np.float64]]):
    """Factors of the random keys (H, W) by image name that make connected components equally likely.

    The first s arrivals of a Poisson process are, up to their order, s uniform numbers times the next arrival time,
    which is gamma distributed. So the keys of a component of s pixels are arrivals of a process of rate 1. The
    smallest keys of a class are the first arrivals over all its components. Each draw takes a random component with
    pixels left, all equally likely, and then a random remaining pixel of it.

    Args:
        masks: Class ids, 255 for unlabelled; each is read on access.
        seed: Seed of the gamma numbers, which depend only on it and the image name.
        tile_px: Side of the tiles, if budgets apply per tile. Components end at the borders of tiles.
    """

    def __init__(self, masks: Mapping[str, Mask], seed: int, tile_px: int | None = None) -> None:
        self._masks, self._seed, self._tile_px = masks, seed, tile_px

    def __getitem__(self, image: str) -> NDArray[np.float64]:
        mask, rng = self._masks[image], _rng(self._seed, image, use=2)
        reach = np.empty(mask.shape)
        for box in _boxes(mask, self._tile_px):
            numbers = components(mask[box])
            reach[box] = rng.standard_gamma(np.bincount(numbers.ravel()) + 1.0)[numbers]
        return reach

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)


def _boxes(mask: Mask, tile_px: int | None) -> Iterator[tuple[slice, slice]]:
    """Yield the tiles of a mask, or the whole mask, as slices."""
    for cell in grid(mask.shape[0], mask.shape[1], tile_px or max(mask.shape)):
        yield np.s_[cell.row : cell.row + cell.height, cell.col : cell.col + cell.width]


def _interior(mask: Mask, margin_px: int) -> Mask:
    """Keep pixels whose square neighbourhood of radius ``margin_px`` has a single class."""
    side = 2 * margin_px + 1
    alike = ndimage.minimum_filter(mask, side) == ndimage.maximum_filter(mask, side)
    return np.where(alike, mask, np.uint8(UNLABELLED))


def components(mask: Mask) -> NDArray[np.int32]:
    """Number the connected components of all classes (H, W) from 1, with 4-connectivity; 0 is unlabelled."""
    numbers = np.zeros(mask.shape, np.int32)
    count = 0
    for k in np.unique(mask[mask != UNLABELLED]):
        own, found = ndimage.label(mask == k)
        numbers += np.where(own > 0, own + count, 0).astype(np.int32)
        count += found
    return numbers


def _centres(mask: Mask) -> Mask:
    """Keep one pixel per component: the first of those farthest from its edge."""
    numbers = components(mask)
    # Components of different classes may touch, so distances are measured within each class.
    depth = np.zeros(mask.shape)
    for k in np.unique(mask[mask != UNLABELLED]):
        depth += ndimage.distance_transform_edt(np.pad(mask == k, 1))[1:-1, 1:-1]
    order = np.lexsort((np.arange(mask.size), -depth.ravel(), numbers.ravel()))
    ordered = numbers.ravel()[order]
    first = order[np.r_[True, ordered[1:] != ordered[:-1]]]
    return _only(mask, first[numbers.ravel()[first] > 0])


def _only(mask: Mask, kept: NDArray[np.intp]) -> Mask:
    out = np.full(mask.size, UNLABELLED, np.uint8)
    out[kept] = mask.ravel()[kept]
    return out.reshape(mask.shape)


def add_errors(
    points: Points, masks: Mapping[str, Mask], annotator: Annotator, *, classes: int, seed: int
) -> Points:
    """Add the location and label errors of an annotator to points.

    Args:
        points: Points on pixels of their class.
        masks: Class ids (H, W) by image name.
        annotator: The annotator.
        classes: C; wrong labels are drawn uniformly from the other classes.
        seed: Seed of the errors; they depend only on it, the image name and its points.
    """
    parts = []
    for image in sorted(set(points.image.tolist())):
        own, rng = points.on_image(image), _rng(seed, image, use=1)
        if annotator.places == "centre" and annotator.jitter_px > 0:
            own = _jittered(own, masks[image], annotator.jitter_px, rng=rng)
        if annotator.location_error_px > 0:
            own = _misplaced(own, masks[image].shape, annotator.location_error_px, rng=rng)
        if annotator.wrong_share > 0 and classes > 1:
            own = _mislabelled(own, annotator.wrong_share, classes, rng=rng)
        parts.append(own)
    return join_points(parts)


def _jittered(points: Points, mask: Mask, reach_px: float, *, rng: np.random.Generator) -> Points:
    row, col = _moved(points, np.sqrt(rng.random(len(points))) * reach_px, mask.shape, rng=rng)
    stays = mask[np.round(row).astype(int), np.round(col).astype(int)] == points.class_id
    return replace(points, row=np.where(stays, row, points.row), col=np.where(stays, col, points.col))


def _misplaced(points: Points, shape: tuple[int, ...], most_px: float, *, rng: np.random.Generator) -> Points:
    distance = rng.uniform(min(1.0, most_px), most_px, len(points))
    row, col = _moved(points, distance, shape, rng=rng)
    return replace(points, row=row, col=col)


def _moved(
    points: Points, distance: NDArray[np.float64], shape: tuple[int, ...], *, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    angle = rng.uniform(0, 2 * np.pi, len(points))
    row = _stepped(points.row, distance * np.sin(angle), shape[0])
    return row, _stepped(points.col, distance * np.cos(angle), shape[1])


def _stepped(start: NDArray[np.float64], step: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Add a step, or subtract it where it would leave the raster, so that its length is kept."""
    end = start + step
    return np.clip(np.where((end < 0) | (end > size - 1), start - step, end), 0, size - 1)


def _mislabelled(points: Points, share: float, classes: int, *, rng: np.random.Generator) -> Points:
    # Stochastic rounding keeps the share correct over many images of few points.
    count = int(share * len(points) + rng.random())
    is_wrong = rng.permutation(len(points)) < count
    other = (points.class_id + rng.integers(1, classes, len(points))) % classes
    return replace(points, class_id=np.where(is_wrong, other, points.class_id).astype(np.uint8))


def _rng(seed: int, image: str, *, use: int) -> np.random.Generator:
    return np.random.default_rng([seed, use, *hashlib.sha256(image.encode()).digest()])
