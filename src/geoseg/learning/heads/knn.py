"""Nearest neighbours by cosine similarity.

Cover and Hart, "Nearest neighbor pattern classification", IEEE Transactions on Information Theory 13 (1967).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.choices import stratified_choice
from geoseg.inference.graphs.bands import MIN_NORM, PSEUDO_VOTES, Neighbours, neighbour_band_graph
from geoseg.learning.heads.head import Candidate
from geoseg.learning.validation import Floats, Sample

COUNTS = (1, 3, 5, 9, 15)
MAX_VECTORS = 1000
"""Of more points a stratified random subset votes: time and memory of the map grow with their number."""
_ROWS = 4096


@dataclass(frozen=True)
class NeighbourHead:
    """The votes of the nearest labelled vectors."""

    neighbours: Neighbours

    def scores(self, features: NDArray[np.float32]) -> Floats:
        """Return the logarithms of the votes (P, C), as the inference graph computes them."""
        parts = [self._scores(features[first : first + _ROWS]) for first in range(0, len(features), _ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, self.neighbours.votes.shape[1]), np.float32)

    def _scores(self, features: NDArray[np.float32]) -> Floats:
        known, k = self.neighbours, self.neighbours.count
        similarity = _unit(features) @ known.vectors.T
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        closeness = (1 + np.take_along_axis(similarity, nearest, axis=1)) / 2
        votes = (known.votes[nearest] * closeness[:, :, None]).sum(axis=1)
        shares = votes / np.maximum(votes.sum(axis=1, keepdims=True), MIN_NORM)
        logs: Floats = np.log((k * shares + PSEUDO_VOTES) / (k + PSEUDO_VOTES * votes.shape[1]))
        return logs

    def band_graph(self) -> bytes:
        """Return the inference graph."""
        return neighbour_band_graph(self.neighbours)


def neighbour_candidates(classes: int, points: int) -> Sequence[Candidate]:
    """Return nearest neighbours with several k, for C classes and this many points."""
    counts = [k for k in COUNTS if 2 * k <= points] or [1]
    return [Candidate("knn", f"k = {k}", partial(fit_neighbours, classes=classes, count=k)) for k in counts]


def fit_neighbours(sample: Sample, *, classes: int, count: int) -> NeighbourHead:
    """Keep the points, or 1,000 of them, as the neighbours that vote.

    Args:
        sample: The points. Their weights are the weights of their votes.
        classes: C.
        count: k.
    """
    sample = sample.take(stratified_choice(sample.labels, MAX_VECTORS))
    votes = np.zeros((len(sample.labels), classes), np.float32)
    votes[np.arange(len(votes)), sample.labels] = sample.weights
    vectors = _unit(sample.values.astype(np.float32))
    return NeighbourHead(Neighbours(vectors, votes, min(count, len(votes))))


def _unit(values: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    found: NDArray[np.float32] = values / np.maximum(norm, np.float32(MIN_NORM))
    return found
