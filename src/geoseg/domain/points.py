"""Labelled points: a table of points, and random sampling from masks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.windows import grid, strips
from geoseg.errors import LegendError

Scope = Literal["tile", "image", "total"]
TRAIN, CHECK = "train", "check"
NO_SEED = -1


@dataclass(frozen=True)
class Points:
    """A table of P labelled points in pixel coordinates; one array per column, all of shape (P,).

    Attributes:
        image: Name (file stem) of the raster that the point lies on.
        row: Row, float64, fractional; (0, 0) is the centre of the first pixel, row 0 is north.
        col: Column, float64.
        class_id: uint8, an id of the legend.
        weight: float32, >= 0; 1 counts as one label.
        source: Where the label comes from ("simulated", "field", ...).
        seed: int64, seed of the draw; -1 if the point was not drawn.
        role: "train" or "check" (held out).
    """

    image: NDArray[np.str_]
    row: NDArray[np.float64]
    col: NDArray[np.float64]
    class_id: NDArray[np.uint8]
    weight: NDArray[np.float32]
    source: NDArray[np.str_]
    seed: NDArray[np.int64]
    role: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.row)

    def take(self, index: NDArray[np.bool_] | NDArray[np.intp]) -> Points:
        """Return the points at ``index`` (a boolean mask or positions)."""
        return Points(*(getattr(self, f.name)[index] for f in fields(self)))

    def on_image(self, image: str) -> Points:
        """Return the points that lie on the raster called ``image``."""
        return self.take(self.image == image)

    def with_role(self, role: str) -> Points:
        """Return the points whose role is ``role``."""
        return self.take(self.role == role)

    def with_positive_weight(self) -> Points:
        """Return the points with a positive weight."""
        return self.take(self.weight > 0)

    def counts(self, classes: int) -> NDArray[np.int64]:
        """Return the number of points of each class, shape (classes,)."""
        return np.bincount(self.class_id, minlength=classes).astype(np.int64)

    def digest(self) -> str:
        """Return a SHA-256 of the columns used in training, independent of the order of the points."""
        # Adding 0 turns a -0.0 from rounding into 0.0.
        row, col = np.round(self.row, 6) + 0.0, np.round(self.col, 6) + 0.0
        rows = zip(self.image, row, col, self.class_id, self.weight, self.role, strict=True)
        lines = sorted(f"{i}\t{r:.6f}\t{c:.6f}\t{k}\t{w:.6g}\t{role}" for i, r, c, k, w, role in rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def make_points(  # noqa: PLR0917 -- the natural order of a point's properties
    image: str | Sequence[str] | NDArray[np.str_],
    row: Sequence[float] | NDArray[np.float64],
    col: Sequence[float] | NDArray[np.float64],
    class_id: Sequence[int] | NDArray[np.uint8],
) -> Points:
    """Build a table from positions and classes; the other columns get default values."""
    count = len(row)
    names = np.full(count, image) if isinstance(image, str) else np.asarray(image, dtype=np.str_)
    return Points(
        image=names.astype(np.str_),
        row=np.asarray(row, np.float64),
        col=np.asarray(col, np.float64),
        class_id=np.asarray(class_id, np.uint8),
        weight=np.ones(count, np.float32),
        source=np.full(count, "field"),
        seed=np.full(count, NO_SEED, np.int64),
        role=np.full(count, TRAIN),
    )


def join_points(tables: Sequence[Points]) -> Points:
    """Concatenate tables."""
    if not tables:
        return make_points("", [], [], [])
    return Points(*(np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(Points)))


@dataclass(frozen=True)
class Shortage:
    """A tile, image or dataset with fewer labelled pixels of a class than requested points."""

    image: str
    class_id: int
    asked: int
    found: int


@dataclass(frozen=True)
class Sample:
    """Points drawn from masks, and the shortages."""

    points: Points
    shortages: tuple[Shortage, ...]


@dataclass(frozen=True)
class Budget:
    """Number of points to draw.

    Attributes:
        per_class: N, the number of points per class in each scope.
        scope: Scope of N: each tile, each image, or the total.
        tile_px: Side of a tile in pixels; with another scope it only limits memory use.
    """

    per_class: int
    scope: Scope
    tile_px: int = 256


def sample_points(
    masks: Mapping[str, NDArray[np.uint8]],
    budget: Budget,
    *,
    classes: int,
    seed: int,
    reach: Mapping[str, NDArray[np.float64]] | None = None,
) -> Sample:
    """Draw points without replacement from the labelled pixels of masks, uniformly unless ``reach`` is given.

    Every pixel gets a random key that depends only on the seed and the image name. In each scope, the pixels with the
    N smallest keys of a class are drawn. So the result does not depend on the reading order. The points of a small
    budget are a subset of those of a larger one with the same seed.

    Args:
        masks: Class ids (H, W) by image name; 255 is unlabelled. Each is read once, in name order.
        budget: The number of points.
        classes: C, the number of classes of the legend.
        seed: Seed of the draw, 0 or more.
        reach: Factors (H, W) by image name that multiply the keys, which are uniform in 0..1.

    Returns:
        The points at pixel centres, and the shortages: classes with fewer pixels than N. Absent classes are shortages
        too, except with the scope "tile".

    Raises:
        LegendError: A mask has a class id other than 0..C-1 and 255.
    """
    per_class, scope = budget.per_class, budget.scope
    draws = []
    for image in sorted(masks):
        own_reach = None if reach is None else reach[image]
        draws.append(_draw_per_tile(masks[image], image, budget, classes=classes, seed=seed, reach=own_reach))
    if scope == "image":
        draws = [_as_one_place(draw, draw.places[0], per_class) for draw in draws]
    drawn = _join_draws(draws, classes)
    if scope == "total":
        drawn = _as_one_place(drawn, "", per_class)
    return Sample(_drawn_with(drawn.points, seed), _shortages(drawn, per_class, scope))


@dataclass(frozen=True)
class _Draw:
    """Drawn pixels (P,), their keys, and the number of pixels found by place and class (places, C)."""

    points: Points
    keys: NDArray[np.float64]
    places: tuple[str, ...]
    found: NDArray[np.int64]


def _draw_per_tile(
    mask: NDArray[np.uint8],
    image: str,
    budget: Budget,
    *,
    classes: int,
    seed: int,
    reach: NDArray[np.float64] | None,
) -> _Draw:
    rng = np.random.default_rng([seed, *hashlib.sha256(image.encode()).digest()])
    rows, cols, keys, found = [], [], [], []
    height, width = mask.shape
    for strip in strips(height, width, budget.tile_px):
        # Keys are drawn in full-width rows, so that the key of a pixel does not depend on the tile size.
        strip_keys = rng.random((strip.height, strip.width))
        if reach is not None:
            strip_keys *= reach[strip.row : strip.row + strip.height]
        for cell in grid(strip.height, strip.width, budget.tile_px):
            box = np.s_[:, cell.col : cell.col + cell.width]
            labels = mask[strip.row : strip.row + strip.height][box].ravel()
            tile_keys = strip_keys[box].ravel()
            found.append(_count(labels, classes, image))
            chosen = _smallest_per_class(labels, tile_keys, count=budget.per_class, classes=classes)
            rows.append(strip.row + chosen // cell.width)
            cols.append(cell.col + chosen % cell.width)
            keys.append(tile_keys[chosen])
    row, col = np.concatenate(rows), np.concatenate(cols)
    points = make_points(image, row.astype(np.float64), col.astype(np.float64), mask[row, col])
    return _Draw(points, np.concatenate(keys), (image,) * len(found), np.array(found))


def _count(labels: NDArray[np.uint8], classes: int, image: str) -> NDArray[np.int64]:
    """Return the pixels per class of a tile, shape (C,)."""
    counts = np.bincount(labels, minlength=UNLABELLED + 1)
    foreign = np.flatnonzero(counts[classes:UNLABELLED]) + classes
    if len(foreign):
        raise LegendError(
            "the mask has a class that is not in the legend",
            where=image,
            expected=f"ids 0..{classes - 1}, or {UNLABELLED} for unlabelled",
            got=", ".join(map(str, foreign)),
        )
    return counts[:classes].astype(np.int64)


def _smallest_per_class(
    class_id: NDArray[np.uint8], keys: NDArray[np.float64], *, count: int, classes: int
) -> NDArray[np.intp]:
    """Return the positions of the ``count`` smallest keys of each class, sorted by class and key."""
    chosen = []
    for k in range(classes):
        own = np.flatnonzero(class_id == k)
        if len(own) > count:
            own = own[np.argpartition(keys[own], count)[:count]]
        chosen.append(own[np.argsort(keys[own], kind="stable")])
    return np.concatenate(chosen)


def _join_draws(draws: Sequence[_Draw], classes: int) -> _Draw:
    return _Draw(
        join_points([d.points for d in draws]),
        np.concatenate([d.keys for d in draws]) if draws else np.empty(0),
        tuple(name for d in draws for name in d.places),
        np.concatenate([d.found for d in draws]) if draws else np.zeros((0, classes), np.int64),
    )


def _as_one_place(draw: _Draw, place: str, per_class: int) -> _Draw:
    """Merge all places of a draw; keep the N smallest keys of each class."""
    found = draw.found.sum(axis=0)
    chosen = _smallest_per_class(draw.points.class_id, draw.keys, count=per_class, classes=len(found))
    return _Draw(draw.points.take(chosen), draw.keys[chosen], (place,), found[np.newaxis])


def _drawn_with(points: Points, seed: int) -> Points:
    count = len(points)
    return replace(points, seed=np.full(count, seed, np.int64), source=np.full(count, "simulated"))


def _shortages(draw: _Draw, per_class: int, scope: Scope) -> tuple[Shortage, ...]:
    # An absent class is normal in a tile; elsewhere the user should know.
    least = 1 if scope == "tile" else 0
    return tuple(
        Shortage(place, k, per_class, int(n))
        for place, found in zip(draw.places, draw.found, strict=True)
        for k, n in enumerate(found)
        if least <= n < per_class
    )
