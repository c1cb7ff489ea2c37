import torch

from geoseg.networks.losses.pfce import PatchPoints
from geoseg.networks.losses.pseudo_labels import grow_regions

NONE = 255


def _points(*points, weight=1.0):
    index, row, col, label = zip(*points, strict=True)
    return PatchPoints(
        torch.tensor(index),
        torch.tensor(row, dtype=torch.float64),
        torch.tensor(col, dtype=torch.float64),
        torch.tensor(label),
        torch.full((len(points),), weight),
    )


def _taught(rows):
    """Return probabilities (1, 2, H, W) of a map of the probability of class 1."""
    second = torch.tensor(rows)[None, None]
    return torch.cat([1 - second, second], dim=1)


ROW = _taught([[0.0, 0.0, 0.1, 0.9, 1.0]])
VALID = torch.ones(1, 1, 5, dtype=torch.bool)


def test_a_region_grows_as_far_as_the_teacher_is_sure_and_no_further():
    grown = grow_regions(
        _points((0, 0.0, 0.0, 0), (0, 0.0, 4.0, 1)), ROW, VALID, min_probability=0.8, steps=5
    )
    assert grown[0, 0].tolist() == [0, 0, 0, 1, 1]
    grown = grow_regions(_points((0, 0.0, 0.0, 0)), ROW, VALID, min_probability=0.95, steps=5)
    assert grown[0, 0].tolist() == [0, 0, NONE, NONE, NONE]


def test_it_grows_one_pixel_a_step_also_across_corners():
    grown = grow_regions(
        _points((0, 0.2, 0.3, 0)),
        _taught([[0.0] * 4] * 3),
        VALID[:, :1, :4].expand(1, 3, 4),
        min_probability=0.5,
        steps=1,
    )
    assert grown[0].tolist() == [[0, 0, NONE, NONE], [0, 0, NONE, NONE], [NONE] * 4]


def test_without_a_step_only_the_points_own_pixels_are_labelled():
    grown = grow_regions(_points((0, 0.0, 1.4, 1)), ROW, VALID, min_probability=0.8, steps=0)
    assert grown[0, 0].tolist() == [NONE, 1, NONE, NONE, NONE]


def test_pixels_of_the_same_class_that_are_not_connected_stay_unlabelled():
    gap = _taught([[0.0, 0.0, 1.0, 0.0, 0.0]])
    grown = grow_regions(_points((0, 0.0, 0.0, 0)), gap, VALID, min_probability=0.8, steps=9)
    assert grown[0, 0].tolist() == [0, 0, NONE, NONE, NONE]
    # Nor does a region pass another class's point or land without an image.
    points = _points((0, 0.0, 0.0, 0), (0, 0.0, 2.0, 1))
    assert grow_regions(points, _taught([[0.0] * 5]), VALID, min_probability=0.8, steps=9)[0, 0].tolist() == [
        0,
        0,
        1,
        NONE,
        NONE,
    ]
    hole = torch.tensor([[[True, False, True, True, True]]])
    assert grow_regions(points, _taught([[0.0] * 5]), hole, min_probability=0.8, steps=9)[0, 0].tolist() == [
        0,
        NONE,
        1,
        NONE,
        NONE,
    ]


def test_points_without_weight_do_not_grow():
    grown = grow_regions(_points((0, 0.0, 0.0, 0), weight=0.0), ROW, VALID, min_probability=0.8, steps=5)
    assert (grown == NONE).all()
