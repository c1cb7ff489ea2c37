"""Simulated people who label: where in a mask their points may lie, and how they err."""

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
    """A person who labels.

    Attributes:
        places: Where a point may lie: any "pixel" of its class; "component" lets each connected component stand
            for as many pixels at most as there are points to draw; "interior" keeps off other classes; "centre"
            is the middle of a component.
        margin_px: How far "interior" stays from other classes.
        jitter_px: How far a "centre" may be missed, within the class.
        location_error_px: Points lie 1 to this many pixels off, whatever is there; 0 for none.
        wrong_share: Share of the points with the label of another class.
    """

    places: Places = "pixel"
    margin_px: int = 3
    jitter_px: float = 2.0
    location_error_px: float = 0.0
    wrong_share: float = 0.0


class Candidates(Mapping[str, Mask]):
    """Masks (H, W) by image name, 255 where an annotator would place no point.

    Args:
        masks: Class ids, 255 for unlabelled; each is looked up when it is asked for.
        annotator: Who labels.
        per_class: Points per class wanted; a component stands for no more of its pixels than these.
        seed: Seed of the choice among a component's pixels.
        tile_px: Where budgets count for tiles: their side. A component ends at the border of its tile.
    """

    def __init__(
        self,
        masks: Mapping[str, Mask],
        annotator: Annotator,
        *,
        per_class: int,
        seed: int,
        tile_px: int | None = None,
    ) -> None:
        self._masks, self._annotator = masks, annotator
        self._per_class, self._seed, self._tile_px = per_class, seed, tile_px

    def __getitem__(self, image: str) -> Mask:
        mask = self._masks[image]
        if self._annotator.places == "interior":
            return _interior(mask, self._annotator.margin_px)
        if self._annotator.places == "pixel":
            return mask
        rng, kept = _rng(self._seed, image), np.empty_like(mask)
        for cell in grid(mask.shape[0], mask.shape[1], self._tile_px or max(mask.shape)):
            box = np.s_[cell.row : cell.row + cell.height, cell.col : cell.col + cell.width]
            if self._annotator.places == "centre":
                kept[box] = _centres(mask[box])
            else:
                kept[box] = _some_of_each_component(mask[box], self._per_class, rng)
        return kept

    def __iter__(self) -> Iterator[str]:
        return iter(self._masks)

    def __len__(self) -> int:
        return len(self._masks)


def _interior(mask: Mask, margin_px: int) -> Mask:
    """Keep pixels with nothing but their class within a square of ``margin_px`` around."""
    side = 2 * margin_px + 1
    alike = ndimage.minimum_filter(mask, side) == ndimage.maximum_filter(mask, side)
    return np.where(alike, mask, np.uint8(UNLABELLED))


def components(mask: Mask) -> NDArray[np.int32]:
    """Number the connected components of all classes (H, W) from 1; 0 is unlabelled. Neighbours share a side."""
    numbers = np.zeros(mask.shape, np.int32)
    count = 0
    for k in np.unique(mask[mask != UNLABELLED]):
        own, found = ndimage.label(mask == k)
        numbers += np.where(own > 0, own + count, 0).astype(np.int32)
        count += found
    return numbers


def _centres(mask: Mask) -> Mask:
    """Keep of each component the pixel that lies farthest from its edge, the first of several."""
    numbers = components(mask)
    # Components of two classes may touch, so distances are measured within each class; outside is no edge.
    depth = np.zeros(mask.shape)
    for k in np.unique(mask[mask != UNLABELLED]):
        depth += ndimage.distance_transform_edt(np.pad(mask == k, 1))[1:-1, 1:-1]
    order = np.lexsort((np.arange(mask.size), -depth.ravel(), numbers.ravel()))
    ordered = numbers.ravel()[order]
    first = order[np.r_[True, ordered[1:] != ordered[:-1]]]
    return _only(mask, first[numbers.ravel()[first] > 0])


def _some_of_each_component(mask: Mask, count: int, rng: np.random.Generator) -> Mask:
    numbers = components(mask).ravel()
    order = np.lexsort((rng.random(mask.size), numbers))
    ordered = numbers[order]
    starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]])
    rank = np.arange(mask.size) - np.repeat(starts, np.diff(np.r_[starts, mask.size]))
    return _only(mask, order[(rank < count) & (ordered > 0)])


def _only(mask: Mask, kept: NDArray[np.intp]) -> Mask:
    out = np.full(mask.size, UNLABELLED, np.uint8)
    out[kept] = mask.ravel()[kept]
    return out.reshape(mask.shape)


def err(
    points: Points, masks: Mapping[str, Mask], annotator: Annotator, *, classes: int, seed: int
) -> Points:
    """Misplace and mislabel points as an annotator does.

    Args:
        points: Points on pixels of their class.
        masks: Class ids (H, W) by image name.
        annotator: Who labels.
        classes: C; wrong labels are drawn evenly from the other classes.
        seed: Seed of the errors; they depend on it, the image's name and the points on it alone.
    """
    parts = []
    for image in sorted(set(points.image.tolist())):
        own, rng = points.on_image(image), _rng(seed, image)
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
    row, col = points.row + distance * np.sin(angle), points.col + distance * np.cos(angle)
    return np.clip(row, 0, shape[0] - 1), np.clip(col, 0, shape[1] - 1)


def _mislabelled(points: Points, share: float, classes: int, *, rng: np.random.Generator) -> Points:
    is_wrong = rng.random(len(points)) < share
    other = (points.class_id + rng.integers(1, classes, len(points))) % classes
    return replace(points, class_id=np.where(is_wrong, other, points.class_id).astype(np.uint8))


def _rng(seed: int, image: str) -> np.random.Generator:
    return np.random.default_rng([seed, 1, *hashlib.sha256(image.encode()).digest()])
