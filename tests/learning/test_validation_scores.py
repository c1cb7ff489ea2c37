from __future__ import annotations

import numpy as np

from geoseg.learning.calibration import Calibration, HeldOut
from geoseg.learning.validation_scores import mapped_classes, score_held_out


def test_scores_are_those_of_the_map_with_its_prior_shift():
    logits = np.array([[2.0, 0], [0.5, 0], [0, 1.0]])
    held_out = HeldOut(logits, np.array([0, 1, 1]), np.ones(3), np.arange(3))

    plain = score_held_out(held_out, Calibration(), trained=np.array([0, 1]))
    shifted = score_held_out(held_out, Calibration(2.0, (0.0, 0.5)), trained=np.array([0, 1]))

    # 2 / 2 + 0 > 0.5, but 0.5 / 2 + 0 < 0.5
    assert mapped_classes(logits, Calibration(2.0, (0.0, 0.5))).tolist() == [0, 1, 1]
    assert plain.at_points.confusion.tolist() == [[1, 0], [1, 1]]
    assert shifted.at_points.values["overall_accuracy"] == 1


def test_classes_that_were_never_held_out_are_named_and_have_no_score():
    held_out = HeldOut(np.eye(3)[[0, 0, 1]], np.array([0, 0, 1]), np.ones(3), np.arange(3))

    found = score_held_out(held_out, Calibration(), trained=np.array([0, 1, 2]))

    record = found.to_record(("field", "wood", "water"))
    assert record["never_held_out"] == ["water"]
    assert record["at_points"]["producers"]["water"]["estimate"] is None
    assert record["points_by_class"] == {"field": 2, "wood": 1, "water": 0}
    assert found.few == (0, 1)


def test_points_without_weight_do_not_count():
    held_out = HeldOut(np.eye(2), np.array([0, 1]), np.zeros(2), np.arange(2))

    assert score_held_out(held_out, Calibration(), trained=np.array([0, 1])) is None
