"""Measure how points are spread: nearest neighbours, blocks, and the distance to points of other classes."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

_Floats = NDArray[np.float64]

_SIGNIFICANT = 1.96


@dataclass(frozen=True)
class Site:
    """The points on one raster, and the size of its part with data, in the same unit.

    Attributes:
        positions: Positions of the points (P, 2).
        area: Area.
        perimeter: Length of the edge.
    """

    positions: _Floats
    area: float
    perimeter: float


@dataclass(frozen=True)
class NearestNeighbours:
    """Nearest-neighbour index of Clark & Evans, corrected for edges.

    Attributes:
        mean: Mean distance of a point to its nearest neighbour.
        expected: The same for points at random places.
        z: Difference between them in standard errors.
    """

    mean: float
    expected: float
    z: float

    @property
    def index(self) -> float:
        """Ratio of the two distances: 1 for points at random places, near 0 for clusters, about 2 on a grid."""
        return self.mean / self.expected

    @property
    def pattern(self) -> str:
        """The pattern at the level of 5 %: clustered, random or regular."""
        if abs(self.z) < _SIGNIFICANT:
            return "random"
        return "clustered" if self.z < 0 else "regular"


def nearest_neighbours(sites: Iterable[Site]) -> NearestNeighbours | None:
    """Compare the distances between neighbours with those of points at random places.

    Neighbours are on the same raster; a raster with one point does not count. The index is that of Clark & Evans,
    "Distance to nearest neighbor as a measure of spatial relationships in populations", Ecology 35 (1954). Points near an
    edge have fewer neighbours; the expected distance and its standard error are corrected for this after Donnelly,
    "Simulations to determine the variance and edge effect of total nearest neighbour distance" (1978).

    Args:
        sites: The points of each raster.

    Returns:
        The index over all rasters; None if no raster has two points.
    """
    total = count = 0.0
    expected = variance = 0.0
    for site in sites:
        points = len(site.positions)
        if points < 2:
            continue
        distances, _ = cKDTree(site.positions).query(site.positions, k=2)
        total += float(distances[:, 1].sum())
        root = math.sqrt(points)
        expected += 0.5 * math.sqrt(site.area) * root + (0.0514 + 0.041 / root) * site.perimeter
        variance += 0.0703 * site.area + 0.037 * site.perimeter * math.sqrt(site.area) / root
        count += points
    if not count:
        return None
    return NearestNeighbours(total / count, expected / count, (total - expected) / math.sqrt(variance))


def nearest_of_other_class(positions: _Floats, class_id: NDArray[np.integer]) -> _Floats:
    """Return the distance of each point (P,) to the nearest point of another class; infinity if there is none.

    >>> nearest_of_other_class(np.array([[0.0, 0], [0, 3], [4, 0]]), np.array([0, 0, 1])).tolist()
    [4.0, 5.0, 4.0]
    """
    distance = np.full(len(positions), np.inf)
    for k in np.unique(class_id):
        own = class_id == k
        if own.any() and not own.all():
            distance[own], _ = cKDTree(positions[~own]).query(positions[own])
    return distance
