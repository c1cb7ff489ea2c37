"""Reproducible random choices: stratified, or in proportion to area."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def stratified_choice(strata: ArrayLike, count: int, seed: int = 0) -> NDArray[np.intp]:
    """Choose items at random, in proportion to the size of each stratum.

    Every stratum gets at least one item if ``count`` allows it. Unlike every n-th item, the choice does not depend on
    patterns in the order of the items.

    Args:
        strata: Number of the stratum of each item (P,), such as a class.
        count: Number of items to choose; all items if there are no more.
        seed: Seed of the choice.

    Returns:
        Positions of the chosen items, ascending.

    >>> stratified_choice([0] * 90 + [1] * 10, 10).size
    10
    """
    own = np.unique(np.asarray(strata), return_inverse=True)[1].ravel()
    if len(own) <= count:
        return np.arange(len(own))
    rng = np.random.default_rng([seed, len(own)])
    shuffled = rng.permutation(len(own))
    # Items grouped by stratum, in random order within each.
    order = shuffled[np.argsort(own[shuffled], kind="stable")]
    sizes = np.bincount(own)
    rank = np.arange(len(own)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    place = (rank + rng.random(len(own))) / np.repeat(sizes, sizes)
    place[rank == 0] -= 1
    return np.sort(order[np.argsort(place, kind="stable")[:count]])


def draws_by_area(areas: ArrayLike, density: float, rng: np.random.Generator) -> NDArray[np.int64]:
    """Return the number of pixels to draw from each cell so that every pixel is equally likely.

    Args:
        areas: Pixels of each cell (N,).
        density: Draws per pixel.
        rng: Source of randomness; fractions of a draw are rounded up or down at random.

    >>> draws_by_area([100, 50], 0.1, np.random.default_rng(0)).tolist()
    [10, 5]
    """
    expected = density * np.asarray(areas, np.float64)
    return np.floor(expected + rng.random(expected.shape)).astype(np.int64)
