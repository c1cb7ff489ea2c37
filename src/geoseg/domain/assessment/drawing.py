"""Draw pixels of a population at random, part by part: stratified, systematic, or in clusters."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.assessment.population import Part, Population, block_counts

_Ints = NDArray[np.int64]
_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Drawn:
    """Drawn pixels; one array per column, all of shape (n,).

    Attributes:
        row: Row in the map.
        col: Column in the map.
        class_id: Map class.
        stratum_id: Stratum.
        pixel_m2: Ground area in square metres; NaN if not known.
        cluster: Number of its cluster, from 1; 0 without clusters.
        inclusion_probability: Probability to be in the sample, 0..1.
    """

    row: _Ints
    col: _Ints
    class_id: NDArray[np.uint8]
    stratum_id: NDArray[np.uint8]
    pixel_m2: _Floats
    cluster: _Ints
    inclusion_probability: _Floats

    def __len__(self) -> int:
        return len(self.row)

    def shuffled(self, rng: np.random.Generator) -> Drawn:
        """Return the pixels in random order, so that their order tells nothing about their strata."""
        order = rng.permutation(len(self))
        return Drawn(*(getattr(self, f.name)[order] for f in fields(self)))


def draw_stratified(
    parts: Iterable[Part], population: Population, sizes: _Ints, *, rng: np.random.Generator
) -> Drawn:
    """Draw pixels without replacement in each stratum.

    Args:
        parts: The population, in the order in which it was counted.
        population: Its counts.
        sizes: Number of pixels to draw by stratum id (255,).
        rng: Source of randomness.
    """
    ranks = {
        int(h): np.sort(rng.choice(int(population.drawable[h]), int(sizes[h]), replace=False))
        for h in np.flatnonzero(sizes)
    }
    seen = dict.fromkeys(ranks, 0)

    def choose(part: Part) -> Iterator[_Picked]:
        counts = np.bincount(part.stratum_ids[part.is_drawable], minlength=256)
        for stratum, wanted in ranks.items():
            own = _within(wanted, seen[stratum], int(counts[stratum]))
            seen[stratum] += int(counts[stratum])
            if len(own):
                found = np.flatnonzero((part.stratum_ids == stratum) & part.is_drawable)
                probability = int(sizes[stratum]) / int(population.drawable[stratum])
                yield _Picked(found[own], np.zeros(len(own), np.int64), np.full(len(own), probability))

    return _collect(parts, choose)


def draw_simple(
    parts: Iterable[Part], population: Population, size: int, *, rng: np.random.Generator
) -> Drawn:
    """Draw pixels without replacement from the whole population; arguments as for :func:`draw_stratified`."""
    total = int(population.drawable.sum())
    wanted = np.sort(rng.choice(total, size, replace=False))
    seen = 0

    def choose(part: Part) -> Iterator[_Picked]:
        nonlocal seen
        found = np.flatnonzero(part.is_drawable)
        own = _within(wanted, seen, len(found))
        seen += len(found)
        yield _Picked(found[own], np.zeros(len(own), np.int64), np.full(len(own), size / total))

    return _collect(parts, choose)


def systematic_steps(population: Population, size: int) -> tuple[int, int]:
    """Return the distance in rows and in columns of a systematic grid with about ``size`` pixels of the population."""
    cell = max(1.0, float(population.drawable.sum()) / size)
    rows = max(1, math.floor(math.sqrt(cell)))
    return rows, max(1, math.floor(cell / rows))


def draw_systematic(parts: Iterable[Part], steps: tuple[int, int], rng: np.random.Generator) -> Drawn:
    """Take every pixel of a regular grid with a random start; ``steps`` are its distances in rows and columns."""
    start = [int(rng.integers(step)) for step in steps]
    probability = 1 / (steps[0] * steps[1])

    def choose(part: Part) -> Iterator[_Picked]:
        window = part.window
        rows = np.arange((start[0] - window.row) % steps[0], window.height, steps[0])
        cols = np.arange((start[1] - window.col) % steps[1], window.width, steps[1])
        places = (rows[:, None] * window.width + cols).ravel()
        kept = places[part.is_drawable.ravel()[places]]
        yield _Picked(kept, np.zeros(len(kept), np.int64), np.full(len(kept), probability))

    return _collect(parts, choose)


@dataclass(frozen=True)
class Clusters:
    """A cluster design: blocks of ``side`` x ``side`` pixels, ``count`` of them, and pixels per block (None: all)."""

    side: int
    count: int
    pixels: int | None


def draw_clusters(
    parts: Iterable[Part], population: Population, clusters: Clusters, *, rng: np.random.Generator
) -> Drawn:
    """Draw blocks of neighbouring pixels without replacement, and take all or some pixels of each.

    Args:
        parts: The population, in windows that start at multiples of the side of a block.
        population: Its counts.
        clusters: The design.
        rng: Source of randomness.
    """
    wanted = np.sort(rng.choice(population.clusters, clusters.count, replace=False))
    first = clusters.count / population.clusters
    seen = 0

    def choose(part: Part) -> Iterator[_Picked]:
        nonlocal seen
        counts = block_counts(part.is_drawable, clusters.side)
        blocks = np.argwhere(counts)
        for rank in _within(wanted, seen, len(blocks)):
            row, col = blocks[rank] * clusters.side
            block = part.is_drawable[row : row + clusters.side, col : col + clusters.side]
            inner_rows, inner_cols = np.nonzero(block)
            places = (row + inner_rows) * part.window.width + col + inner_cols
            taken = min(len(places), clusters.pixels or len(places))
            own = np.sort(rng.choice(places, taken, replace=False))
            number = 1 + int(np.searchsorted(wanted, seen + rank))
            yield _Picked(own, np.full(taken, number), np.full(taken, first * taken / len(places)))
        seen += len(blocks)

    return _collect(parts, choose)


@dataclass(frozen=True)
class _Picked:
    """Pixels of a part by flat position, with their clusters and inclusion probabilities, all (k,)."""

    places: NDArray[np.intp]
    cluster: _Ints
    probability: _Floats


def _within(ranks: _Ints, first: int, count: int) -> _Ints:
    """Return the sorted ranks in ``first`` .. ``first + count - 1``, counted from ``first``."""
    low, high = np.searchsorted(ranks, [first, first + count])
    return ranks[low:high] - first


def _collect(parts: Iterable[Part], choose: Callable[[Part], Iterator[_Picked]]) -> Drawn:
    chosen = [_described(part, picked) for part in parts for picked in choose(part)]
    return Drawn(*(np.concatenate([getattr(one, f.name) for one in chosen]) for f in fields(Drawn)))


def _described(part: Part, picked: _Picked) -> Drawn:
    rows, cols = np.divmod(picked.places, part.window.width)
    areas = np.asarray(np.nan if part.pixel_m2 is None else part.pixel_m2, np.float64)
    return Drawn(
        row=(part.window.row + rows).astype(np.int64),
        col=(part.window.col + cols).astype(np.int64),
        class_id=part.class_ids[rows, cols],
        stratum_id=part.stratum_ids[rows, cols],
        pixel_m2=np.broadcast_to(areas, part.class_ids.shape)[rows, cols].astype(np.float64),
        cluster=picked.cluster,
        inclusion_probability=picked.probability,
    )
