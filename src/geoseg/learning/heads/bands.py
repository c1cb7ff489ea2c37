"""Heads on the bands of rasters of features: read at the points, chosen and calibrated by validation over blocks."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.choices import stratified_choice
from geoseg.domain.ports import Progress
from geoseg.learning.calibration import HeldOut, cross_entropy, fit_temperature
from geoseg.learning.features.patches import BatchPoints
from geoseg.learning.features.reading import (
    FitData,
    LabelledFeatures,
    Reader,
    read_labelled_and_unlabelled,
    sort_by_cell,
    subsample_points,
)
from geoseg.learning.heads.forest import forest_candidates
from geoseg.learning.heads.head import Candidate, Head, HeadName
from geoseg.learning.heads.knn import neighbour_candidates
from geoseg.learning.heads.logistic import fit_probe
from geoseg.learning.heads.mlp import perceptron_candidates
from geoseg.learning.heads.svm import svm_candidates
from geoseg.learning.validation import Floats, Folds, Sample, predict_held_out, spatial_folds

CELL_PX = 32
"""Side of the cells in which the bands are read; they need no context."""
INVERSE_RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
MAX_VALIDATED = 5_000


@dataclass(frozen=True)
class Tried:
    """A candidate and its calibrated cross-entropy in nats at the held-out points."""

    candidate: Candidate
    loss: float
    held_out: HeldOut


@dataclass(frozen=True)
class BandFit:
    """Result of :func:`fit_bands`.

    Attributes:
        chosen: The candidate that was chosen.
        head: The candidate fitted to all points.
        losses: Calibrated cross-entropy at held-out points of the best setting of each head, and that setting.
        held_out: Logits at the held-out points; None if no point could be held out.
        blocks: The blocks of the validation.
        unlabelled: Logits (U, C) at random unlabelled pixels.
        loss: Training loss.
    """

    chosen: Candidate
    head: Head
    losses: Mapping[HeadName, tuple[str, float]]
    held_out: HeldOut | None
    blocks: Blocks
    unlabelled: Floats
    loss: float


def read_bands_at_points(images: Floats, at: BatchPoints) -> Floats:
    """Return the bands (P, B) of the pixels of images (N, B, H, W) that hold the points."""
    row, col = (np.floor(place + 0.5).astype(np.intp) for place in (at.row, at.col))
    return images[at.index, :, row, col]


def read_band_features(data: FitData, *, seed: int, progress: Progress) -> LabelledFeatures:
    """Read the bands at the points and at random pixels.

    Raises:
        TrainingError: The points have fewer than two classes.
    """
    reader = Reader(CELL_PX)
    labelled, unlabelled = read_labelled_and_unlabelled(
        read_bands_at_points, data, reader=reader, seed=seed, progress=progress
    )
    points = sort_by_cell(subsample_points(data.points), CELL_PX)
    return LabelledFeatures((labelled,), points, unlabelled)


def fit_bands(
    features: LabelledFeatures,
    *,
    head: HeadName | Literal["auto"],
    classes: int,
    patch_px: int,
    seed: int,
    progress: Progress,
) -> BandFit:
    """Fit the head with the lowest calibrated cross-entropy at held-out blocks, of those that are tried.

    Args:
        features: The features.
        head: The head to fit; "auto" tries all. Its hyperparameter is always chosen by the validation.
        classes: C.
        patch_px: Side of a training patch, from which the blocks follow.
        seed: Seed of the folds and the fits.
        progress: Progress of the validation, one step per candidate.
    """
    blocks = find_blocks(features.points, patch_px)
    sample = features.views[0].to_sample(blocks.numbers)
    tried = validate_candidates(sample, head, classes=classes, seed=seed, progress=progress)
    if tried:
        best = min(tried, key=lambda one: one.loss)
        chosen, held_out = best.candidate, best.held_out
    else:
        # Without held-out points nothing can be chosen.
        chosen, held_out = _candidates(head, classes=classes, points=len(sample.labels), seed=seed)[0], None
    fitted = chosen.fit(sample)
    losses = dict[HeadName, tuple[str, float]]()
    for one in sorted(tried, key=lambda one: one.loss):
        losses.setdefault(one.candidate.head, (one.candidate.setting, one.loss))
    own = HeldOut(fitted.scores(features.views[0].values), sample.labels, sample.weights)
    return BandFit(
        chosen,
        fitted,
        losses,
        held_out,
        blocks,
        fitted.scores(features.unlabelled.values),
        cross_entropy(own),
    )


def validate_candidates(
    sample: Sample, head: HeadName | Literal["auto"], *, classes: int, seed: int, progress: Progress
) -> Sequence[Tried]:
    """Score every candidate at points of held-out blocks; nothing if too few points can be held out.

    Of more than 5,000 points a stratified random subset is used.
    """
    sample = sample.take(stratified_choice(sample.labels, MAX_VALIDATED, seed))
    folds = spatial_folds(sample.labels, sample.places, seed=seed)
    if folds is None:
        return ()
    smallest = min(len(fitted) for fitted, _ in folds)
    every = _candidates(head, classes=classes, points=smallest, seed=seed)
    progress.start("Choosing the head" if head == "auto" else f"Choosing the setting of {head}", len(every))
    tried = []
    for candidate in every:
        held_out = _held_out(sample, folds, candidate)
        tried.append(Tried(candidate, cross_entropy(held_out, fit_temperature(held_out)), held_out))
        progress.advance()
    return tried


def _held_out(sample: Sample, folds: Folds, candidate: Candidate) -> HeldOut:
    def fit_and_score(_: int, fitted: Sample, values: Floats) -> Floats:
        return candidate.fit(fitted).scores(values)

    return predict_held_out(sample, folds, fit_and_score)


def _candidates(
    head: HeadName | Literal["auto"], *, classes: int, points: int, seed: int
) -> Sequence[Candidate]:
    """Return the candidates of a head, or of all; the first has the least to choose."""
    every: Iterable[Candidate] = (
        *neighbour_candidates(classes, points),
        *(_logistic(classes, inverse_ridge) for inverse_ridge in INVERSE_RIDGES),
        *svm_candidates(classes, seed),
        *forest_candidates(classes, seed),
        *perceptron_candidates(classes, seed),
    )
    return [one for one in every if head in ("auto", one.head)]


def _logistic(classes: int, inverse_ridge: float) -> Candidate:
    def fit(sample: Sample) -> Head:
        return fit_probe(
            sample.values.astype(np.float64),
            sample.labels,
            sample.weights,
            classes=classes,
            inverse_ridge=inverse_ridge,
        )

    return Candidate("logistic", f"inverse ridge = {inverse_ridge:g}", fit)
