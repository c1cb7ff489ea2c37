"""Figures of an assessment: the error matrix shows areas and counts, and intervals only where there are some."""

from __future__ import annotations

import numpy as np
import pytest

from geoseg.domain.legend import legend_from_names
from geoseg.pictures.assessment import Series, error_matrix_figure, interval_figure

LEGEND = legend_from_names(["field", "water $1$"])


def cell_texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


@pytest.mark.parametrize(("unmapped", "rows"), [(0.0, 2), (3.0, 3)])
def test_the_matrix_shows_area_and_count_of_each_cell(unmapped, rows):
    counts = np.array([[45, 5], [0, 12_345], [0, unmapped]])
    proportions = np.array([[0.54, 0.06], [0, 0.39], [0, 0.01 * bool(unmapped)]])

    figure = error_matrix_figure(counts, proportions, LEGEND)

    assert cell_texts(figure)[:7] == ["54.00 %", "45", "6.00 %", "5", "0", "39.00 %", "12.3 k"]
    assert len(figure.axes[0].get_yticklabels()) == rows


def test_a_class_without_an_estimate_has_no_mark():
    series = Series("estimated", np.array([12.0, np.nan]), np.array([np.nan, np.nan]))

    figure = interval_figure([series], LEGEND, axis="Area in hectares")

    marks = figure.axes[0].containers[0].lines[0]
    assert marks.get_xdata().tolist() == [12.0]
    assert figure.axes[0].get_xlabel() == "Area in hectares"
