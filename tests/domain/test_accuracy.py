from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.domain.accuracy import accuracy, accuracy_record, class_scores, confusion_matrix
from geoseg.errors import LegendError


def ids(*values):
    return np.array(values, np.uint8)


def test_truth_stands_in_rows_and_unlabelled_truth_is_not_counted():
    confusion = confusion_matrix(ids(0, 0, 1, 255), ids(0, 1, 1, 0), classes=2)

    assert confusion.tolist() == [[1, 1, 0], [0, 1, 0]]
    assert confusion.dtype == np.int64


def test_a_pixel_without_a_prediction_counts_as_missed():
    confusion = confusion_matrix(ids(0, 0, 1), ids(0, 255, 255), classes=2)

    assert confusion.tolist() == [[1, 0, 1], [0, 0, 1]]


def test_nothing_labelled_counts_nothing():
    assert confusion_matrix(ids(255, 255), ids(0, 1), classes=2).tolist() == [[0, 0, 0], [0, 0, 0]]


@pytest.mark.parametrize(("truth", "mapped", "where"), [(2, 0, "truth"), (0, 2, "map")])
def test_an_id_that_the_legend_lacks_is_refused(truth, mapped, where):
    with pytest.raises(LegendError, match=rf"^{where}: .*expected ids 0\.\.1, or 255; got 2"):
        confusion_matrix(ids(truth), ids(mapped), classes=2)


def test_all_255_classes_can_be_counted():
    every = np.arange(255, dtype=np.uint8)

    assert (confusion_matrix(every, every, classes=255)[:, :255] == np.eye(255)).all()


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(0, 2**32 - 1))
def test_the_matrix_of_a_whole_is_the_sum_of_its_parts(cut, seed):
    rng = np.random.default_rng(seed)
    truth, mapped = rng.choice([0, 1, 2, 255], (2, 31)).astype(np.uint8)

    parts = confusion_matrix(truth[:cut], mapped[:cut], 3) + confusion_matrix(truth[cut:], mapped[cut:], 3)

    assert (confusion_matrix(truth, mapped, 3) == parts).all()


def test_scores_of_a_matrix_worked_by_hand():
    # truth a: 3 right, 1 taken for b; truth b: 2 right, 2 taken for a, 1 not mapped at all
    scores = accuracy(np.array([[3, 1, 0], [2, 2, 1]]))

    assert scores.iou == pytest.approx([3 / 6, 2 / 6])
    assert scores.f1 == pytest.approx([6 / 9, 4 / 8])
    assert scores.precision == pytest.approx([3 / 5, 2 / 3])
    assert scores.recall == pytest.approx([3 / 4, 2 / 5])
    assert scores.miou == pytest.approx(5 / 12)
    assert scores.overall_accuracy == pytest.approx(5 / 9)


def test_a_square_matrix_scores_like_one_without_unmapped_pixels():
    square = np.array([[3, 1], [2, 2]])

    assert accuracy(square).miou == accuracy(np.pad(square, ((0, 0), (0, 1)))).miou


def test_a_class_absent_from_the_truth_has_no_scores_and_no_part_in_the_mean():
    scores = accuracy(np.array([[3, 1, 0], [0, 0, 0]]))

    assert scores.iou[0] == pytest.approx(3 / 4)
    assert scores.miou == pytest.approx(3 / 4)
    for values in (scores.iou, scores.f1, scores.precision, scores.recall):
        assert np.isnan(values[1])


def test_a_class_that_is_there_and_never_mapped_scores_0_and_has_no_precision():
    scores = accuracy(np.array([[4, 0, 0], [2, 0, 0]]))

    assert (scores.iou[1], scores.f1[1], scores.recall[1]) == (0, 0, 0)
    assert np.isnan(scores.precision[1])
    assert scores.miou == pytest.approx((4 / 6 + 0) / 2)


def test_a_map_without_truth_has_no_scores():
    scores = accuracy(np.zeros((2, 3), np.int64))

    assert np.isnan(scores.miou)
    assert np.isnan(scores.overall_accuracy)


def test_a_record_holds_fractions_by_name_and_null_for_what_is_absent():
    record = accuracy_record(accuracy(np.array([[3, 0, 1], [0, 0, 0]])), ["water", "ice"])

    assert json.loads(json.dumps(record, allow_nan=False)) == {
        "miou": 0.75,
        "overall_accuracy": 0.75,
        "iou": {"water": 0.75, "ice": None},
        "f1": {"water": pytest.approx(6 / 7), "ice": None},
        "precision": {"water": 1.0, "ice": None},
        "recall": {"water": 0.75, "ice": None},
        "confusion": [[3, 0], [0, 0]],
        "unmapped": [1, 0],
        "pixels": 4,
    }


def test_scores_of_several_matrices_are_those_of_each():
    matrices = np.random.default_rng(1).integers(0, 9, (3, 4, 5))
    found = class_scores(matrices)
    for n, matrix in enumerate(matrices):
        one = accuracy(matrix)
        np.testing.assert_array_equal(found["iou"][n], one.iou)
        assert found["miou"][n] == one.miou
