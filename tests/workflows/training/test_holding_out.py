"""Training holds points out by place, and says how."""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np
import pytest
from tests.workflows.watching import Watcher

from geoseg.domain.blocks import cell_numbers
from geoseg.domain.points import CHECK, TRAIN
from geoseg.errors import PointsError
from geoseg.settings import TrainSettings
from geoseg.workflows.training.training_data import load_training_data


@pytest.fixture
def gathered(dataset, points, cheap, tmp_path):
    """Return what a training would train on, and what it said."""

    def gather_(lines=None, **options):
        own = {"data": dataset, "points": points, "output": tmp_path / "m.geoseg", "recipe": "pfce"}
        if lines:
            own["points"] = tmp_path / "points.csv"
            own["points"].write_text("\n".join(["image,row,col,class", *lines]))
        settings, watcher = TrainSettings(**{**cheap, **own, **options}), Watcher()
        with ExitStack() as stack:
            return load_training_data(
                settings, stack, watcher, check_share=settings.check_share
            ), watcher.said

    return gather_


def test_about_a_share_of_each_class_is_held_out_by_place(gathered):
    training_data, said = gathered(check_share=0.4)
    points = training_data.data.points
    assert np.abs(points.with_role(CHECK).counts(3) - 4).max() <= 2
    cells = cell_numbers(points, 64)
    assert not set(cells[points.role == CHECK]) & set(cells[points.role == TRAIN])
    assert "Points are held out by place: 8 blocks of 64 px hold points." in said


def test_points_too_close_together_to_be_held_out_by_place_are_warned_of(gathered):
    training_data, said = gathered(
        [f"east,{50 + k},{60 + k % 7},{('field', 'wood')[k % 2]}" for k in range(20)]
    )
    assert training_data.blocks.block_px < 32
    assert any(text.startswith("The points lie too close together") for text in said)


def test_points_of_one_place_a_class_all_train_and_are_warned_of(gathered):
    training_data, said = gathered(["east,50,5,field", "west,50,90,water"])
    assert len(training_data.data.points.with_role(TRAIN)) == 2
    assert any(text.startswith("No point is held out") for text in said)


# Too few points


def test_points_of_one_class_are_refused_by_every_recipe(gathered):
    with pytest.raises(
        PointsError, match=r"points\.csv: all training points have the same class.*got 3 of wood"
    ):
        gathered(["east,50,50,wood", "east,60,50,wood", "west,50,50,wood"], check_share=0)


def test_classes_of_one_or_two_points_are_warned_of_with_their_numbers(gathered):
    lines = [f"east,{20 + 10 * k},10,field" for k in range(5)]
    _, said = gathered([*lines, "east,50,50,wood", "east,60,50,wood", "west,50,90,water"], check_share=0)
    (told,) = [text for text in said if "few" in text]
    assert told.startswith("Too few training points: wood 2, water 1.")


def test_points_without_weight_are_refused_by_their_file(gathered, tmp_path):
    path = tmp_path / "weightless.csv"
    path.write_text("image,row,col,class,weight\neast,50,5,field,0\nwest,50,90,water,0\n")

    message = r"weightless\.csv: no training point is left.*got 0 points with role check and 2 with weight 0\. Correct"
    with pytest.raises(PointsError, match=message):
        gathered(points=path, check_share=0)


def test_check_points_that_are_training_points_are_refused_or_left_out(gathered, points, tmp_path):
    path = tmp_path / "checks.csv"
    path.write_text("image,row,col,class\neast,50,5,field\neast,60,5,field\n")

    with pytest.raises(
        PointsError, match=r"points\..*: all check points are training points.*got 30 on pixels"
    ):
        gathered(check_points=points)
    training_data, said = gathered(["east,50,5.3,field", "east,50,90,water"], check_points=path)
    assert training_data.data.points.with_role(CHECK).row.tolist() == [60]
    assert "checks.csv: 1 of 2 check points lie on pixels of training points and are excluded." in said


def test_dropped_check_points_are_listed_with_those_to_train_on(gathered, tmp_path):
    path = tmp_path / "checks.csv"
    path.write_text("image,row,col,class\neast,50,5,field\neast,5000,5,field\n")

    training_data, said = gathered(check_points=path)

    assert training_data.dropped.table[["file", "number"]].to_numpy().tolist() == [["checks.csv", 2]]
    assert "checks.csv: Classes with fewer than 3 points: 'field' (1)." in said


def test_enough_points_are_not_warned_of(gathered):
    _, said = gathered()
    assert not any("Too few training points" in text for text in said)
