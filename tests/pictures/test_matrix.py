from itertools import combinations

import numpy as np
import pytest

from geoseg.domain.legend import legend_from_names
from geoseg.pictures.matrix import confusion_figure, count_label

LEGEND = legend_from_names(["field", "wood", "lake"])
#                 field wood lake unmapped
COUNTS = np.array([[6, 2, 0, 0], [1, 39_999, 0, 0], [0, 0, 0, 0]], np.int64)


def _words(figure):
    axes = figure.axes[0]
    return [text.get_text() for text in (*axes.get_xticklabels(), *axes.get_yticklabels())]


def _at(figure, row, col):
    """Return the texts in one cell, from the top."""
    texts = [
        t for t in figure.axes[0].texts if t.get_position()[0] == col and abs(t.get_position()[1] - row) < 0.4
    ]
    return [t.get_text() for t in sorted(texts, key=lambda t: t.get_position()[1])]


def test_cells_show_per_cent_of_their_row_and_the_count():
    figure = confusion_figure(COUNTS, LEGEND)
    assert _at(figure, 0, 0) == ["75.0", "6"]
    assert _at(figure, 0, 1) == ["25.0", "2"]
    assert _at(figure, 0, 2) == ["0"]
    assert _at(figure, 1, 0) == ["<0.1", "1"]
    assert _at(figure, 1, 1) == ["100.0", "40 k"]


def test_the_row_of_an_absent_class_is_grey_and_has_no_numbers():
    figure = confusion_figure(COUNTS, LEGEND)
    assert _at(figure, 2, 1) == ["not in the reference"]
    assert _at(figure, 2, 0) == _at(figure, 2, 2) == []
    figure.canvas.draw()
    box = figure.axes[0].get_window_extent()
    row = np.asarray(figure.canvas.buffer_rgba())[::-1][
        round(box.y0 + box.height / 12), round(box.x0) + 4 : round(box.x1) - 4, :3
    ]
    assert (row == 217).all()


def test_unmapped_is_a_column_only_where_there_is_some():
    assert "unmapped" not in _words(confusion_figure(COUNTS, LEGEND))
    assert "unmapped" not in _words(confusion_figure(COUNTS[:, :3], LEGEND))
    counts = COUNTS.copy()
    counts[0, 3] = 8
    figure = confusion_figure(counts, LEGEND)
    assert "unmapped" in _words(figure)
    assert _at(figure, 0, 0) == ["37.5", "6"]
    assert _at(figure, 0, 3) == ["50.0", "8"]


def test_every_class_is_named_in_rows_and_columns():
    words = _words(confusion_figure(COUNTS, LEGEND))
    assert all(words.count(name) == 2 for name in LEGEND.names)


@pytest.mark.parametrize(
    ("classes", "name"),
    [(1, "wood"), (2, "wood"), (12, "Water and wetlands, including intertidal flats and reed beds")],
)
def test_numbers_fit_their_cells_and_names_the_sheet(classes, name):
    legend = legend_from_names([f"{n} {name}" for n in range(classes)])
    figure = confusion_figure(np.full((classes, classes), 123_456, np.int64), legend, title="A title " * 12)
    axes = figure.axes[0]
    names = [*axes.get_xticklabels(), *axes.get_yticklabels()]
    texts = [figure._suptitle, figure._supxlabel, *axes.texts, *names]
    for box in (text.get_window_extent() for text in texts):
        assert figure.bbox.x0 <= box.x0 <= box.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= box.y0 <= box.y1 <= figure.bbox.y1
    straight = [text.get_window_extent() for text in texts if not text.get_rotation()]
    for one, other in combinations(straight, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))


@pytest.mark.parametrize(
    ("count", "label"),
    [
        (0, "0"),
        (9999, "9999"),
        (12_345, "12.3 k"),
        (999_499, "999 k"),
        (999_501, "1 M"),
        (7_250_000, "7.25 M"),
        (3 * 10**9, "3 G"),
    ],
)
def test_large_counts_are_written_with_a_unit(count, label):
    assert count_label(count) == label


def test_numbers_contrast_with_their_cells():
    figure = confusion_figure(COUNTS, LEGEND)
    colors = {t.get_text(): t.get_color() for t in figure.axes[0].texts}
    assert colors["100.0"] == "white"
    assert colors["25.0"] == "#1a1a1a"


def test_the_matrix_is_not_modified():
    before = COUNTS.copy()
    COUNTS.flags.writeable = False
    confusion_figure(COUNTS, LEGEND)
    assert (before == COUNTS).all()


def test_a_matrix_of_other_classes_is_refused():
    with pytest.raises(ValueError, match="shape"):
        confusion_figure(np.zeros((4, 4), np.int64), LEGEND)
