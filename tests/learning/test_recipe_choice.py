from __future__ import annotations

import numpy as np
import pytest

from geoseg.learning.calibration import HeldOut
from geoseg.learning.recipe_choice import Choice, Score, choose, score


def held_out(labels, mapped, classes=2):
    labels = np.array(labels)
    return HeldOut(np.eye(classes)[mapped], labels, np.ones(len(labels)))


def test_classes_count_alike_however_many_points_they_have():
    # Class 0: all of 2 right. Class 1: 3 of 6 right, the others mapped as class 0.
    found = score(held_out([0, 0, 1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 0, 0, 0]))
    # On land of halves: class 0 has 0.5 / (0.5 + 0.25), class 1 has 0.25 / 0.5.
    assert found.miou == pytest.approx((2 / 3 + 1 / 2) / 2, abs=1e-6)


def test_a_class_without_held_out_points_does_not_count():
    assert score(held_out([0, 1], [0, 1], classes=5)).miou == 1


def test_points_without_weight_count_nothing():
    one = held_out([0, 1, 1, 0], [0, 1, 0, 0])
    weightless = HeldOut(np.eye(2)[[0, 1, 0, 0, 1]], np.append(one.labels, 0), np.append(one.weights, 0.0))
    assert score(weightless) == score(one)
    # Most draws of these hold no point that counts.
    lonely = score(HeldOut(np.eye(3), np.arange(3), np.array([1.0, 0, 0])))
    assert (lonely.miou, lonely.error) == (1, 0)


def test_more_points_leave_less_doubt():
    few, many = (score(held_out([0, 1] * n, [0, 1, 1, 1] * (n // 2))) for n in (6, 600))
    assert few.miou == pytest.approx(many.miou)
    assert 0 < many.error < few.error


def test_points_in_another_order_score_the_same():
    labels, mapped = np.arange(40) % 3, np.arange(40) % 5 % 3
    order = np.random.default_rng(0).permutation(40)
    one = score(held_out(labels, mapped, classes=3))
    other = score(held_out(labels[order], mapped[order], classes=3))
    assert one.miou == other.miou


def test_within_the_standard_error_the_name_with_the_better_record_is_chosen():
    # The difference of 0.04 has a standard error of 0.05, that of 0.10 one of 0.042.
    scores = {"quick": Score(0.66, 0.04), "forest": Score(0.70, 0.03), "deep": Score(0.60, 0.03)}
    assert choose(scores) == Choice("quick", "forest", ("forest",))


def test_a_lead_beyond_the_standard_error_is_chosen_whatever_the_record():
    scores = {"quick": Score(0.60, 0.03), "forest": Score(0.70, 0.03)}
    assert choose(scores) == Choice("forest", "forest", ())


def test_those_that_do_as_well_as_the_one_chosen_are_named():
    scores = {"quick": Score(0.70, 0.03), "forest": Score(0.66, 0.04), "deep": Score(0.60, 0.03)}
    assert choose(scores) == Choice("quick", "quick", ("forest",))


def test_of_equal_scores_the_first_wins():
    assert choose({"quick": Score(0.5, 0.0), "forest": Score(0.5, 0.0)}).best == "quick"
