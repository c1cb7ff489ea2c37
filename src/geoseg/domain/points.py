"""Labelled points: one table of them, and how they are drawn from a mask."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.legend import UNLABELLED
from geoseg.domain.windows import Window, grid

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

    def counts(self, classes: int) -> NDArray[np.int64]:
        """Return how many points each class has, shape (classes,)."""
        return np.bincount(self.class_id, minlength=classes).astype(np.int64)

    def digest(self) -> str:
        """Return a SHA-256 of what training sees; it does not depend on the order of the points."""
        rows = zip(self.image, self.row, self.col, self.class_id, self.weight, self.role, strict=True)
        lines = sorted(f"{i}\t{r:.6f}\t{c:.6f}\t{k}\t{w:.6g}\t{role}" for i, r, c, k, w, role in rows)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def make_points(
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


def sample_points(
    masks: Mapping[str, NDArray[np.uint8]],
    *,
    per_class: int,
    scope: Scope,
    classes: int,
    seed: int,
    tile_px: int = 256,
) -> Sample:
    """Draw points uniformly, without replacement, from the labelled pixels of dense masks.

    The draw of an image depends on the seed and the image's name alone, never on the order of
    reading; with scope "total", pixels of all images compete by keys drawn in the same way.

    Args:
        masks: Class ids (H, W) by image name; 255 is unlabelled.
        per_class: N, the points per class and per tile, image or in total.
        scope: What the budget counts for.
        classes: C, the number of classes of the legend.
        seed: Seed of the draw.
        tile_px: Side of a tile, for scope "tile".

    Returns:
        The points at pixel centres, and the shortages: a class that a place has, but in fewer
        pixels than N, and for "image" and "total" also a class that is not there at all.
    """
    parts = [
        _sample_image(mask, name, per_class=per_class, classes=classes, seed=seed,
                      cells=_cells(mask, tile_px if scope == "tile" else None))
        for name, mask in sorted(masks.items())
    ]  # fmt: skip
    candidates = join_points([points for points, _ in parts])
    keys = np.concatenate([key for _, key in parts]) if parts else np.empty(0)
    if scope == "total":
        candidates = candidates.take(_smallest_per_class(candidates.class_id, keys, per_class))
    points = replace(
        candidates,
        seed=np.full(len(candidates), seed, np.int64),
        source=np.full(len(candidates), "simulated"),
    )
    return Sample(points, _shortages(masks, points, per_class, scope, classes, tile_px))


def _cells(mask: NDArray[np.uint8], tile_px: int | None) -> list[Window]:
    height, width = mask.shape
    return [Window(0, 0, height, width)] if tile_px is None else list(grid(height, width, tile_px))


def _sample_image(
    mask: NDArray[np.uint8], image: str, *, per_class: int, classes: int, seed: int, cells: list[Window]
) -> tuple[Points, NDArray[np.float64]]:
    """Return up to N points per class and cell with the random key that each pixel won by."""
    rng = np.random.default_rng([seed, *hashlib.sha256(image.encode()).digest()])
    keys = rng.random(mask.shape)
    found = [_smallest_in_cell(mask, keys, cell, k, per_class) for cell in cells for k in range(classes)]
    rows = np.concatenate([r for r, _ in found])
    cols = np.concatenate([c for _, c in found])
    points = make_points(image, rows.astype(np.float64), cols.astype(np.float64), mask[rows, cols])
    return points, keys[rows, cols]


def _smallest_in_cell(
    mask: NDArray[np.uint8], keys: NDArray[np.float64], cell: Window, class_id: int, count: int
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    box = np.s_[cell.row : cell.row + cell.height, cell.col : cell.col + cell.width]
    rows, cols = np.nonzero(mask[box] == class_id)
    order = np.argsort(keys[box][rows, cols], kind="stable")[:count]
    return rows[order] + cell.row, cols[order] + cell.col


def _smallest_per_class(
    class_id: NDArray[np.uint8], keys: NDArray[np.float64], count: int
) -> NDArray[np.intp]:
    order = np.argsort(keys, kind="stable")
    chosen = [order[class_id[order] == k][:count] for k in np.unique(class_id)]
    return np.sort(np.concatenate(chosen)) if chosen else np.empty(0, np.intp)


def _shortages(
    masks: Mapping[str, NDArray[np.uint8]],
    points: Points,
    per_class: int,
    scope: Scope,
    classes: int,
    tile_px: int,
) -> tuple[Shortage, ...]:
    if scope == "total":
        found = points.counts(classes)
        return tuple(Shortage("", k, per_class, int(n)) for k, n in enumerate(found) if n < per_class)
    short = []
    for name, mask in sorted(masks.items()):
        for cell in _cells(mask, tile_px if scope == "tile" else None):
            box = mask[cell.row : cell.row + cell.height, cell.col : cell.col + cell.width]
            found = np.bincount(box[box != UNLABELLED].ravel(), minlength=classes)[:classes]
            # In a tile an absent class is the rule and says nothing; in an image the user should know.
            least = 1 if scope == "tile" else 0
            short += [
                Shortage(name, k, per_class, int(n)) for k, n in enumerate(found) if least <= n < per_class
            ]
    return tuple(short)


def hold_out(points: Points, share: float, seed: int) -> Points:
    """Give the role "check" to a share of the training points, class by class; at least one stays in each.

    Args:
        points: The points; those that are "check" already stay so.
        share: Part of each class's training points to hold out, 0..1.
        seed: Seed of the choice; it depends on the points' places, not on their order.
    """
    order = np.lexsort((points.col, points.row, points.image))
    role = points.role.copy().astype("U5")
    for k in np.unique(points.class_id):
        own = order[(points.class_id[order] == k) & (points.role[order] == TRAIN)]
        count = min(round(share * len(own)), len(own) - 1)
        if count > 0:
            rng = np.random.default_rng([seed, int(k)])
            role[rng.permutation(own)[:count]] = CHECK
    return replace(points, role=role)
