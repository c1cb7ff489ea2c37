"""Check the labels of usable points against the predictions from their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.domain.blocks import cell_numbers, find_blocks
from geoseg.domain.choices import stratified_choice
from geoseg.domain.points import Points
from geoseg.domain.ports import Progress
from geoseg.inference.graphs.layers import LayerPlan, feature_graph
from geoseg.inference.graphs.texture import texture_graph
from geoseg.learning.architecture import COLORS
from geoseg.learning.features.extractors import GraphExtractor
from geoseg.learning.features.reading import MAX_POINTS, FitData, Reader, context_around, read_features
from geoseg.learning.heads.forest import forest_scores
from geoseg.learning.heads.logistic import linear_scores
from geoseg.learning.suspicious_labels import CheckedLabels, check_labels
from geoseg.learning.validation import Sample
from geoseg.settings.points import BLOCK_PX
from geoseg.workflows.inputs import Rasters
from geoseg.workflows.training.training_data import point_normalisation

Classifier = Literal["forest", "quick"]


@dataclass(frozen=True)
class LabelCheck:
    """Labels of usable points that contradict their features.

    Attributes:
        classifier: The classifier.
        labels: The check of each usable point.
        names: Names of the classes.
        label: Class ids of the points (P,).
    """

    classifier: Classifier
    labels: CheckedLabels
    names: Sequence[str]
    label: NDArray[np.int64]

    @property
    def suspicious(self) -> dict[str, int]:
        """Number of suspicious points by "label looks like other class", the most frequent first."""
        at = np.flatnonzero(self.labels.is_suspicious)
        if not len(at):
            return {}
        pairs, counts = np.unique(
            np.stack([self.label[at], self.labels.other[at]], axis=1), axis=0, return_counts=True
        )
        order = np.argsort(-counts, kind="stable")
        return {
            f"{self.names[pairs[k, 0]]} looks like {self.names[pairs[k, 1]]}": int(counts[k]) for k in order
        }

    def columns(self, kept: NDArray[np.bool_]) -> dict[str, Any]:
        """Return columns for all points of the file (P,); ``kept`` is true where a point can be used.

        They hold the class that a suspicious label looks like, "" for the others, and the odds of it against the label.
        """
        looks, odds = np.full(len(kept), "", object), np.full(len(kept), np.nan)
        looks[kept] = np.where(self.labels.is_suspicious, np.array([*self.names, ""])[self.labels.other], "")
        odds[kept] = np.round(self.labels.odds, 3)
        return {"looks_like": looks, "odds": odds}

    @property
    def warnings(self) -> list[str]:
        """Possible problems, one sentence each."""
        found, unchecked = self.labels.is_suspicious.sum(), (~self.labels.is_checked).sum()
        said = []
        if found:
            said.append(
                f"Labels that contradict the prediction from their features: {found:,}. Check these points (their reason begins with suspicious)."
            )
        if unchecked:
            said.append(f"{unchecked:,} labels were not checked: all points of their class lie in one place.")
        return said

    def to_record(self) -> dict[str, Any]:
        """Return the check as JSON values."""
        return {
            "classifier": self.classifier,
            "odds_limit": self.labels.limit,
            "checked": int(self.labels.is_checked.sum()),
            "suspicious": int(self.labels.is_suspicious.sum()),
            "by_pair": self.suspicious,
        }


def check_point_labels(
    used: Points, rasters: Rasters, names: Sequence[str], *, classifier: Classifier, progress: Progress
) -> LabelCheck:
    """Check the labels of points by a cross-validation over blocks; of more than 50,000 points check a random subset.

    Args:
        used: The usable points.
        rasters: The open rasters.
        names: Names of the classes.
        classifier: forest: a random forest on colour and texture; quick: a linear classifier on the bundled backbone.
        progress: Progress of the reading.
    """
    chosen = stratified_choice(used.class_id, MAX_POINTS)
    points, classes = used.take(chosen), len(names)
    found = CheckedLabels(
        np.zeros(len(used), np.bool_),
        np.full(len(used), -1, np.int64),
        np.full(len(used), np.nan),
        limit=np.inf,
    )
    if len(np.unique(points.class_id)) > 1:
        scores = forest_scores(classes) if classifier == "forest" else linear_scores(classes)
        sample = read_label_features(points, rasters, classifier, progress=progress)
        found = _spread_over(check_labels(sample, scores), chosen, len(used))
    return LabelCheck(classifier, found, tuple(names), used.class_id.astype(np.int64))


def read_label_features(
    points: Points, rasters: Rasters, classifier: Classifier, *, progress: Progress
) -> Sample:
    """Read the features of a classifier at points, in the order of the points, with the blocks of a validation."""
    normalisation = point_normalisation(rasters.sources, points, BLOCK_PX, indices=())
    channels = normalisation.channels
    has_texture = channels > COLORS
    graph = (
        texture_graph(channels)
        if classifier == "forest"
        else feature_graph(LayerPlan(channels, COLORS if has_texture else channels, (1, 2), has_texture))
    )
    reader = Reader(BLOCK_PX, context_around(BLOCK_PX), 1, has_flexible_cells=True)
    data = FitData(rasters.sources, points, normalisation, int(points.class_id.max()) + 1)
    read = read_features(GraphExtractor(graph), points, data, reader=reader, progress=progress)
    back = np.argsort(np.argsort(cell_numbers(points, BLOCK_PX), kind="stable"), kind="stable")
    return read.take(back).to_sample(find_blocks(points, BLOCK_PX).numbers)


def _spread_over(found: CheckedLabels, chosen: NDArray[np.intp], count: int) -> CheckedLabels:
    """Return the check for all points, given that of the chosen ones."""
    if len(chosen) == count:
        return found
    is_checked, other, odds = np.zeros(count, np.bool_), np.full(count, -1, np.int64), np.full(count, np.nan)
    is_checked[chosen], other[chosen], odds[chosen] = found.is_checked, found.other, found.odds
    return replace(found, is_checked=is_checked, other=other, odds=odds)
