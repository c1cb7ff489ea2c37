"""Expand a probability sample to its population: totals of any variable, and their variances, by sampling design."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

_Floats = NDArray[np.float64]
_Ids = NDArray[np.integer]

NORMAL_95 = 1.96
"""Standard errors in half of a 95 % interval, as published tables round it."""
SMALL_FRACTION = 0.05
"""Sampling fraction up to which the finite population correction is left out (Cochran, 1977, section 2.6)."""


class Expansion(Protocol):
    """A sampling design with its sample of n units."""

    @property
    def area(self) -> float:
        """Area of the population, in square metres or in pixels."""

    @property
    def factor(self) -> float:
        """Number of standard errors in half of a 95 % interval."""

    def totals(self, values: _Floats) -> _Floats:
        """Return estimated totals (K,) of area times ``values`` (n, K) over the population."""

    def variances(self, values: _Floats) -> _Floats:
        """Return the variances (K,) of these totals; NaN where the sample has too few units for one."""

    def class_variances(self, values: _Floats) -> _Floats:
        """Return the variances (K,) for values (n, K) that are 0 outside map class k in the whole population."""


@dataclass(frozen=True)
class Strata:
    """The H strata of a population.

    Attributes:
        pixels: Number of pixels (H,).
        area: Area (H,), in square metres or in pixels.
        map_class: Map class of each stratum (H,); -1 for a stratum of several map classes.
    """

    pixels: _Floats
    area: _Floats
    map_class: _Ids


@dataclass(frozen=True)
class StratifiedSample:
    """A stratified random sample, also by post-stratification.

    The mean of a stratum is a ratio of areas, because pixels of a raster in degrees differ in area. With equal pixels it
    is the sample mean, and the variances are those of Stehman (2014), equations 25 to 29; with strata that are the map
    classes, they are those of Olofsson et al. (2014), equations 5 to 7. The finite population correction counts where
    more than 5 % of the pixels of a stratum are sampled.

    Attributes:
        strata: The strata.
        stratum: Stratum (n,) of each unit.
        count: Number of pixels (n,) that each unit stands for: 1, or the count of a cell of an error matrix.
        pixel_area: Area (n,) of each pixel, in the unit of the strata.
    """

    strata: Strata
    stratum: _Ids
    count: _Floats
    pixel_area: _Floats

    @property
    def area(self) -> float:
        """Area of the population."""
        return float(self.strata.area.sum())

    @property
    def factor(self) -> float:
        """Standard errors in half of a 95 % interval."""
        return NORMAL_95

    @property
    def sampled(self) -> _Floats:
        """Number of sampled pixels (H,)."""
        return self._sums(self.count[:, None])[:, 0]

    def totals(self, values: _Floats) -> _Floats:
        """Return estimated totals (K,) of area times ``values`` (n, K)."""
        totals: _Floats = self.strata.area @ self._means(values)
        return totals

    def variances(self, values: _Floats) -> _Floats:
        """Return the variances (K,) of the totals; NaN if a stratum has a single unit of several pixels."""
        by_stratum: _Floats = self._variances(values).sum(axis=0)
        return by_stratum

    def class_variances(self, values: _Floats) -> _Floats:
        """Return the variances (K,) for values that are 0 outside map class k: strata of other classes have none."""
        owner = self.strata.map_class[:, None]
        concerned = (owner < 0) | (owner == np.arange(values.shape[1]))
        by_stratum: _Floats = np.where(concerned, self._variances(values), 0.0).sum(axis=0)
        return by_stratum

    def _variances(self, values: _Floats) -> _Floats:
        """Return variances by stratum (H, K)."""
        n, size = self.sampled[:, None], self.strata.pixels[:, None]
        mean_area = self._sums((self.count * self.pixel_area)[:, None]) / np.maximum(n, 1)
        relative = self.pixel_area[:, None] / mean_area[self.stratum]
        residual = relative * (values - self._means(values)[self.stratum])
        squares = self._sums(self.count[:, None] * residual**2)
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = squares / (n * (n - 1))
        kept = _unsampled(n / size)
        return np.where(kept > 0, self.strata.area[:, None] ** 2 * kept * spread, 0.0)

    def _means(self, values: _Floats) -> _Floats:
        weight = (self.count * self.pixel_area)[:, None]
        means: _Floats = self._sums(weight * values) / self._sums(weight)
        return means

    def _sums(self, values: _Floats) -> _Floats:
        """Return sums of values (n, K) by stratum (H, K)."""
        return _sums_by(self.stratum, values, len(self.strata.pixels))


@dataclass(frozen=True)
class ClusterSample:
    """A simple random sample of clusters of pixels.

    Totals are ratios to the known area. Their variances are those between the totals of the clusters (Cochran, 1977,
    equation 11.30, for ratios), so they hold for any correlation inside clusters.

    Attributes:
        cluster: Cluster (n,) of each pixel, numbered from 0.
        weight: 1 / inclusion probability (n,) of each pixel.
        pixel_area: Area (n,) of each pixel.
        area: Area of the population.
        clusters: Number of clusters in the population.
        are_whole: Whether every pixel of a sampled cluster is in the sample. Otherwise, variances have no finite
            population correction, because that ignores the variance inside clusters.
    """

    cluster: _Ids
    weight: _Floats
    pixel_area: _Floats
    area: float
    clusters: int
    are_whole: bool

    @property
    def factor(self) -> float:
        """Standard errors in half of a 95 % interval, from Student's t by the number of clusters."""
        from scipy.special import stdtrit  # takes a tenth of a second, and other designs do without

        return float(stdtrit(self._sampled - 1, 0.975)) if self._sampled > 1 else float("nan")

    @property
    def _sampled(self) -> int:
        return len(np.unique(self.cluster))

    def totals(self, values: _Floats) -> _Floats:
        """Return estimated totals (K,) of area times ``values`` (n, K)."""
        totals: _Floats = self.area * self._means(values)
        return totals

    def variances(self, values: _Floats) -> _Floats:
        """Return the variances (K,) of the totals; NaN for a single cluster."""
        _, index = np.unique(self.cluster, return_inverse=True)
        count = self._sampled
        if count < 2:
            return np.full(values.shape[1], np.nan)
        weight = (self.weight * self.pixel_area)[:, None]
        totals = _sums_by(index, weight * (values - self._means(values)), count)
        kept = float(_unsampled(np.array(count / self.clusters))) if self.are_whole else 1.0
        scale = (self.area / weight.sum()) ** 2
        variances: _Floats = scale * kept * count / (count - 1) * (totals**2).sum(axis=0)
        return variances

    def class_variances(self, values: _Floats) -> _Floats:
        """Return the variances (K,) of the totals."""
        return self.variances(values)

    def _means(self, values: _Floats) -> _Floats:
        weight = (self.weight * self.pixel_area)[:, None]
        means: _Floats = (weight * values).sum(axis=0) / weight.sum()
        return means


def _unsampled(fraction: _Floats) -> _Floats:
    """Return the finite population correction of sampling fractions."""
    return np.where(fraction > SMALL_FRACTION, 1 - fraction, 1.0)


def _sums_by(group: _Ids, values: _Floats, groups: int) -> _Floats:
    columns = [np.bincount(group, column, minlength=groups) for column in values.T]
    return np.stack(columns, axis=1) if columns else np.zeros((groups, 0))
