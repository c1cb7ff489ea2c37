from __future__ import annotations

import numpy as np
import pytest

from geoseg.domain.accuracy_intervals import block_matrices, score_blocks

NAMES = ("field", "wood")


def test_points_count_by_their_weights_in_the_matrix_of_their_block():
    labels, mapped = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1])
    weights = np.array([1.0, 0.5, 2.0, 1.0])

    found = block_matrices(labels, mapped, weights, blocks=np.array([7, 7, 9, 7]), classes=2)

    assert found.tolist() == [[[1, 0.5], [0, 1]], [[0, 0], [0, 2]]]


def test_scores_worked_by_hand():
    # field: 8 right, 2 taken for wood; wood: 9 right, 1 taken for field
    found = score_blocks(np.array([[[8.0, 2], [1, 9]]]))

    assert found.values["overall_accuracy"] == pytest.approx(17 / 20)
    assert found.values["users"] == pytest.approx([8 / 9, 9 / 11])
    assert found.values["producers"] == pytest.approx([0.8, 0.9])
    assert found.values["f1"] == pytest.approx([16 / 19, 18 / 21])
    assert found.values["miou"] == pytest.approx((8 / 11 + 9 / 12) / 2)


def test_class_proportions_of_the_area_weigh_the_rows():
    # 3/4 of the area is field: cells 0.75 * (0.8, 0.2) and 0.25 * (0.1, 0.9)
    found = score_blocks(np.array([[[8.0, 2], [1, 9]]]), np.array([0.75, 0.25]))

    assert found.values["overall_accuracy"] == pytest.approx(0.6 + 0.225)
    assert found.values["users"] == pytest.approx([0.6 / 0.625, 0.225 / 0.375])
    assert found.values["producers"] == pytest.approx([0.8, 0.9])


def test_a_class_without_reference_has_null_and_no_part_in_the_mean():
    record = score_blocks(np.array([[[3.0, 1], [0, 0]]])).to_record(NAMES)

    assert record["producers"]["wood"] == {"estimate": None, "interval": None}
    assert record["users"]["wood"]["estimate"] is None
    assert record["miou"]["estimate"] == 0.75


def test_an_interval_needs_five_blocks_and_each_class_its_own():
    block = np.array([[1.0, 0], [0, 0]])
    with_wood = np.array([[1.0, 0], [1, 0]])

    few = score_blocks(np.array([block] * 3 + [with_wood]))
    enough = score_blocks(np.array([block] * 4 + [with_wood]))

    assert np.isnan(few.intervals["overall_accuracy"]).all()
    assert np.isfinite(enough.intervals["overall_accuracy"]).all()
    assert np.isfinite(enough.intervals["producers"][:, 0]).all()
    assert np.isnan(enough.intervals["producers"][:, 1]).all()


def test_points_in_clusters_give_wider_intervals_than_single_points():
    right, wrong = np.diag([1.0, 0]), np.array([[0, 1.0], [0, 0]])
    single = score_blocks(np.array([right] * 60 + [wrong] * 40))
    clustered = score_blocks(np.array([10 * right] * 6 + [10 * wrong] * 4))

    widths = [np.ptp(scores.intervals["overall_accuracy"]) for scores in (single, clustered)]
    # Binomial: 2 * 1.96 * sqrt(0.24 / n) with n of 100 and 10.
    assert widths[0] == pytest.approx(0.19, abs=0.02)
    assert widths[1] == pytest.approx(0.61, abs=0.05)
