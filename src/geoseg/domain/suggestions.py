"""Choose the next places to label.

With few points, places that cover features and ground. Later, places where the model is unsure, rather of classes with
few points, and apart from each other. Places for checking are drawn uniformly, elsewhere.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Positions = NDArray[np.float64]
"""Rows and columns (N, 2)."""

_COMPONENTS = 16
_GROUND_SHARE = 0.25
"""Share of the distance on the ground in the distance that coverage maximises."""
_MOST_DEFICIT = 3.0


def cover(
    features: Floats,
    positions: Positions,
    *,
    known: tuple[Floats, Positions],
    count: int,
    seed: int,
) -> NDArray[np.intp]:
    """Choose candidates that cover the features and the ground, beside the known places.

    Each is drawn with a probability proportional to the squared distance from all chosen ones, as the start of
    k-means (Arthur and Vassilvitskii, "k-means++", SODA 2007): the farthest candidate alone would often be an outlier.

    Args:
        features: Features of the candidates (N, F).
        positions: Their rows and columns (N, 2).
        known: Features (K, F) and positions (K, 2) of the labelled places.
        count: Number of candidates to choose.
        seed: Seed of the draw.

    Returns:
        Positions in the list of candidates, at most ``count``.
    """
    rng = np.random.default_rng(seed)
    if not len(features):
        return np.zeros(0, np.intp)
    place = _places(np.concatenate([features, known[0]]), np.concatenate([positions, known[1]]))
    candidates, labelled = place[: len(features)], place[len(features) :]
    distance = np.full(len(candidates), np.inf)
    for one in labelled:
        distance = np.minimum(distance, ((candidates - one) ** 2).sum(axis=1))
    chosen = list[int]()
    for _ in range(min(count, len(candidates))):
        if np.isinf(distance).all():
            pick = int(rng.integers(len(candidates)))
        elif distance.sum() <= 0:
            break
        else:
            pick = int(rng.choice(len(candidates), p=distance / distance.sum()))
        chosen.append(pick)
        distance = np.minimum(distance, ((candidates - candidates[pick]) ** 2).sum(axis=1))
    return np.array(chosen, np.intp)


def question(
    probabilities: Floats,
    positions: Positions,
    *,
    known: Positions,
    class_counts: NDArray[np.int64],
    count: int,
    spacing_px: float,
) -> NDArray[np.intp]:
    """Choose candidates where the model is unsure.

    The score of a candidate is one minus the margin between its two most probable classes, times the deficit of its
    class, times a factor that grows from 0 at a chosen or labelled place to 1 beyond ``spacing_px``.

    Args:
        probabilities: Calibrated probabilities of the candidates (N, C).
        positions: Their rows and columns (N, 2).
        known: Positions of the labelled places (K, 2).
        class_counts: Number of points of each class (C,).
        count: Number of candidates to choose.
        spacing_px: Distance within which a second place adds little.

    Returns:
        Positions in the list of candidates, the most useful first, at most ``count``.
    """
    ordered = np.sort(probabilities, axis=1)
    margin = ordered[:, -1] - ordered[:, -2] if probabilities.shape[1] > 1 else np.ones(len(probabilities))
    score = (1 - margin) * class_deficits(class_counts)[probabilities.argmax(axis=1)]
    for place in known:
        score = score * _apart(positions, place, spacing_px)
    chosen = list[int]()
    for _ in range(min(count, len(score))):
        pick = int(score.argmax())
        if score[pick] <= 0:
            break
        chosen.append(pick)
        score = score * _apart(positions, positions[pick], spacing_px)
        score[pick] = 0
    return np.array(chosen, np.intp)


def class_deficits(counts: NDArray[np.int64]) -> Floats:
    """Return a factor for each class: 1 for a class with the mean number of points, up to 3 for one with fewer.

    >>> class_deficits(np.array([40, 10, 10])).round(2).tolist()
    [0.71, 1.38, 1.38]
    """
    mean = counts.mean() if len(counts) else 0.0
    factors: Floats = np.clip(np.sqrt((mean + 1) / (counts + 1)), 1 / _MOST_DEFICIT, _MOST_DEFICIT)
    return factors


def _apart(positions: Positions, place: Positions, spacing_px: float) -> Floats:
    squared = ((positions - place) ** 2).sum(axis=1)
    factor: Floats = 1 - np.exp(-squared / (2 * (spacing_px / 2) ** 2))
    return factor


def _places(features: Floats, positions: Positions) -> Floats:
    """Return coordinates whose squared distances add features (3 parts) and ground (1 part), each of variance 1."""
    standard = (features - features.mean(axis=0)) / np.maximum(features.std(axis=0), 1e-6)
    _, _, axes = np.linalg.svd(
        standard[np.random.default_rng(0).permutation(len(standard))[:2_000]], full_matrices=False
    )
    main = standard @ axes[:_COMPONENTS].T
    main = main / max(float(np.sqrt((main**2).sum(axis=1).mean())), 1e-6)
    ground = positions - positions.mean(axis=0)
    ground = ground / max(float(np.sqrt((ground**2).sum(axis=1).mean())), 1e-6)
    return np.hstack([main * np.sqrt(1 - _GROUND_SHARE), ground * np.sqrt(_GROUND_SHARE)])
