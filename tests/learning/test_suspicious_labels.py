"""Suspicious labels: a label that its features contradict, judged by points in other blocks."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.learning.heads.forest import forest_scores
from geoseg.learning.heads.logistic import linear_scores
from geoseg.learning.suspicious_labels import check_labels
from geoseg.learning.validation import FitAndScore, Sample


def two_classes(places: int = 30, each: int = 8) -> Sample:
    """Points of two classes, 8 standard deviations apart in the first of three features, in blocks of both."""
    rng = np.random.default_rng(0)
    labels = np.tile([0, 1], places * each // 2).astype(np.int64)
    values = rng.normal(size=(len(labels), 3)).astype(np.float32)
    values[:, 0] += 8 * labels
    return Sample(values, labels, np.ones(len(labels)), np.repeat(np.arange(places), each))


@pytest.mark.parametrize("scores", [forest_scores(2), linear_scores(2)])
def test_a_changed_label_is_suspicious_and_no_other(scores: FitAndScore) -> None:
    sample = two_classes()
    labels = sample.labels.copy()
    labels[[3, 40]] = 1 - labels[[3, 40]]
    found = check_labels(Sample(sample.values, labels, sample.weights, sample.places), scores)
    assert np.flatnonzero(found.is_suspicious).tolist() == [3, 40]
    assert found.other[[3, 40]].tolist() == [1, 0]
    assert found.is_checked.all()


def test_a_label_is_suspicious_from_the_given_odds_on() -> None:
    sample = two_classes()
    found = check_labels(sample, linear_scores(2))
    limit = float(np.sort(found.odds)[-3])
    assert check_labels(sample, linear_scores(2), limit=limit).is_suspicious.sum() == 3


def test_a_class_in_one_block_is_never_suspected() -> None:
    sample = two_classes()
    labels = sample.labels.copy()
    labels[:2] = 2
    found = check_labels(Sample(sample.values, labels, sample.weights, sample.places), linear_scores(3))
    assert np.flatnonzero(~found.is_checked).tolist() == [0, 1]
    assert not found.is_suspicious[:2].any()
    assert np.isnan(found.odds[:2]).all()


def test_points_of_one_place_are_not_checked() -> None:
    sample = two_classes(places=1)
    assert not check_labels(sample, linear_scores(2)).is_checked.any()
