"""Labelled points: one table of them, and how they are drawn from a mask."""

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
        seed: int64, the seed it was drawn with; -1 when it was not drawn.
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
        """Return how many points each class has, shape (classes,)."""
        return np.bincount(self.class_id, minlength=classes).astype(np.int64)

    def digest(self) -> str:
        """Return a SHA-256 of what training sees; it does not depend on the order of the points."""
        # Adding 0 turns -0.0, which rounding can leave behind, into 0.0.
        row, col = np.round(self.row, 6) + 0.0, np.round(self.col, 6) + 0.0
        rows = zip(self.image, row, col, self.class_id, self.weight, self.role, strict=True)
        lines = sorted(f"{i}\t{r:.6f}\t{c:.6f}\t{k}\t{w:.6g}\t{role}" for i, r, c, k, w, role in rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def make_points(  # noqa: PLR0917 -- what a point is, in the order in which one says it
    image: str | Sequence[str] | NDArray[np.str_],
    row: Sequence[float] | NDArray[np.float64],
    col: Sequence[float] | NDArray[np.float64],
    class_id: Sequence[int] | NDArray[np.uint8],
) -> Points:
    """Build a table from positions and classes; the other columns get their defaults."""
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
    """Return all tables as one, in their order."""
    if not tables:
        return make_points("", [], [], [])
    return Points(*(np.concatenate([getattr(t, f.name) for t in tables]) for f in fields(Points)))


@dataclass(frozen=True)
class Shortage:
    """A place that had fewer labelled pixels of a class than points were asked for."""

    image: str
    class_id: int
    asked: int
    found: int


@dataclass(frozen=True)
class Sample:
    """Points drawn from masks, and where there were fewer pixels than asked for."""

    points: Points
    shortages: tuple[Shortage, ...]


@dataclass(frozen=True)
class Budget:
    """How many points to draw.

    Attributes:
        per_class: N, the points per class and per tile, image or in total.
        scope: What N counts for.
        tile_px: Side of a tile; with another scope it only bounds the memory used.
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
    """Draw points, without replacement, from the labelled pixels of dense masks; uniformly without ``reach``.

    Every pixel draws a random key, from the seed and its image's name alone; in each place the N
    smallest keys of a class win. So the order of reading plays no part, and the points of a small
    budget are among those of a larger one with the same seed.

    Args:
        masks: Class ids (H, W) by image name; 255 is unlabelled. Each is looked up once, in name order.
        budget: How many points.
        classes: C, the number of classes of the legend.
        seed: Seed of the draw, 0 or more.
        reach: By image name, what each pixel's key, uniform from 0 to 1, is multiplied by (H, W).

    Returns:
        The points at pixel centres, and the shortages: a class that a place has, but in fewer
        pixels than N, and for "image" and "total" also a class that is not there at all.

    Raises:
        LegendError: A mask holds a class id that is neither below C nor 255.
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
    """Pixels drawn, shape (P,), the keys they won by, and the pixels found (places, C) in each place."""

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
        # Full-width rows of keys: a pixel's key does not depend on the size of the tiles.
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
            "the mask has a class that the legend lacks",
            where=image,
            expected=f"ids 0..{classes - 1}, or {UNLABELLED} for unlabelled",
            got=", ".join(map(str, foreign)),
        )
    return counts[:classes].astype(np.int64)


def _smallest_per_class(
    class_id: NDArray[np.uint8], keys: NDArray[np.float64], *, count: int, classes: int
) -> NDArray[np.intp]:
    """Return where the ``count`` smallest keys of each class are, by class and then by key."""
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
    """Take all places of a draw together: the N smallest keys of each class win once more."""
    found = draw.found.sum(axis=0)
    chosen = _smallest_per_class(draw.points.class_id, draw.keys, count=per_class, classes=len(found))
    return _Draw(draw.points.take(chosen), draw.keys[chosen], (place,), found[np.newaxis])


def _drawn_with(points: Points, seed: int) -> Points:
    count = len(points)
    return replace(points, seed=np.full(count, seed, np.int64), source=np.full(count, "simulated"))


def _shortages(draw: _Draw, per_class: int, scope: Scope) -> tuple[Shortage, ...]:
    # In a tile an absent class is the rule and says nothing; elsewhere the user should know.
    least = 1 if scope == "tile" else 0
    return tuple(
        Shortage(place, k, per_class, int(n))
        for place, found in zip(draw.places, draw.found, strict=True)
        for k, n in enumerate(found)
        if least <= n < per_class
    )
