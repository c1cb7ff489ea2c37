import numpy as np
import pytest

from geoseg.domain.replication import bootstrap_interval, miou_without, spread, total

GOOD = np.array([[9, 1, 0], [1, 9, 0]])
BAD = np.array([[5, 5, 0], [5, 5, 0]])


def test_the_spread_is_that_of_a_sample():
    found = spread([0.5, 0.7])
    assert (found.mean, found.deviation) == pytest.approx((0.6, np.sqrt(0.02)))
    assert np.isnan(spread([0.5]).deviation)


def test_the_total_is_of_one_confusion_matrix():
    scores = total({"a": GOOD, "b": BAD})
    assert scores.iou.tolist() == pytest.approx([14 / 26, 14 / 26])


def test_a_class_can_be_left_out_of_the_mean():
    scores = total({"a": np.array([[8, 2, 0, 0], [0, 5, 0, 0], [0, 0, 0, 0]])})
    assert miou_without(scores, None) == pytest.approx((8 / 10 + 5 / 7) / 2)
    assert miou_without(scores, 0) == pytest.approx(5 / 7)
    assert np.isnan(miou_without(total({"a": np.array([[3, 0]])}), 0))


def test_the_interval_is_a_point_when_all_places_are_alike():
    low, high = bootstrap_interval([{"a": GOOD, "b": GOOD}], draws=50)
    assert low == high == pytest.approx(9 / 11)


def test_the_interval_spans_good_and_bad_places():
    low, high = bootstrap_interval([{"a": GOOD, "b": BAD}] * 2, draws=500)
    assert low == pytest.approx(5 / 15)
    assert high == pytest.approx(9 / 11)


def test_more_places_give_a_narrower_interval():
    few = bootstrap_interval([{"a": GOOD, "b": BAD}], draws=500)
    many = bootstrap_interval([{f"{n}": GOOD if n % 2 else BAD for n in range(40)}], draws=500)
    assert many[1] - many[0] < (few[1] - few[0]) / 2


def test_one_image_tells_nothing_of_others():
    low, high = bootstrap_interval([{"a": np.array([[3, 1, 0], [0, 2, 0]])}])
    assert np.isnan(low)
    assert np.isnan(high)
