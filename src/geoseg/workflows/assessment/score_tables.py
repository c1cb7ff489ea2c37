"""Scores as tables: for pandas, for a terminal, for a notebook."""

from __future__ import annotations

from html import escape

import numpy as np
import pandas as pd

from geoseg.domain.accuracy import Accuracy
from geoseg.domain.legend import Legend

_HEADINGS = {"iou": "IoU %", "f1": "F1 %", "precision": "precision %", "recall": "recall %"}


def score_frame(scores: Accuracy, legend: Legend, unit: str) -> pd.DataFrame:
    """Return the scores by class: fractions 0..1, NaN where a score does not exist.

    Args:
        scores: The scores.
        legend: The classes, which become the index.
        unit: Name of the column of reference counts: "pixels" or "points".

    Returns:
        Columns iou, f1, precision (user's accuracy), recall (producer's accuracy), the reference count and unmapped.
    """
    classes = len(legend)
    columns = {name: getattr(scores, name) for name in _HEADINGS}
    counts = {
        unit: scores.confusion.sum(axis=1),
        "unmapped": scores.confusion[:, classes:].sum(axis=1),
    }
    return pd.DataFrame({**columns, **counts}, index=pd.Index(legend.names, name="class"))


def score_text(scores: Accuracy, legend: Legend, unit: str) -> str:
    """Return the scores as a table of percentages for a terminal, with a line that sums them up."""
    return f"{_percentages(scores, legend, unit).to_string()}\n{_summary(scores)}"


def score_html(scores: Accuracy, legend: Legend, unit: str) -> str:
    """Return the scores as an HTML table, with a line that sums them up."""
    return f"{_percentages(scores, legend, unit).to_html()}<p>{escape(_summary(scores))}</p>"


def _percentages(scores: Accuracy, legend: Legend, unit: str) -> pd.DataFrame:
    frame = score_frame(scores, legend, unit)
    texts = {heading: [_percent(value) for value in frame[name]] for name, heading in _HEADINGS.items()}
    counts = {unit: [f"{count:,}" for count in frame[unit]]}
    if frame["unmapped"].any():
        counts["unmapped"] = [f"{count:,}" for count in frame["unmapped"]]
    return pd.DataFrame({**texts, **counts}, index=list(legend.names))


def _summary(scores: Accuracy) -> str:
    return f"mIoU {_percent(scores.miou)} %, overall accuracy {_percent(scores.overall_accuracy)} %"


def _percent(value: float) -> str:
    return "-" if np.isnan(value) else f"{100 * value:.1f}"
