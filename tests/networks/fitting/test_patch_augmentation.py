import pytest
import torch

from geoseg.domain.windows import Window
from geoseg.networks.fitting.patch_augmentation import View, cutmix, draw_box
from geoseg.networks.losses.pfce import PatchPoints


def _points(*places):
    index, row, col = zip(*places, strict=True)
    return PatchPoints(
        torch.tensor(index),
        torch.tensor(row, dtype=torch.float64),
        torch.tensor(col, dtype=torch.float64),
        torch.arange(len(places)),
        torch.ones(len(places)),
    )


def _view(points, count=3, side=8):
    number = torch.arange(count)[:, None, None]
    images = number[:, None].float().expand(count, 2, side, side)
    return View(
        images,
        (number % 2 == 0).expand(count, side, side),
        points,
        images[:, :1] * 10,
        number.expand(count, side, side) * 100,
    )


def test_inside_the_box_each_patch_shows_the_next_one():
    mixed = cutmix(_view(_points((0, 0.0, 0.0))), Window(2, 1, 3, 4))

    inside = torch.zeros(8, 8, dtype=torch.bool)
    inside[2:5, 1:5] = True
    for patch, following in ((0, 1), (1, 2), (2, 0)):
        expected = torch.where(inside, following, patch)
        assert torch.equal(mixed.images[patch, 0], expected.float())
        assert torch.equal(mixed.images[patch, 1], expected.float())
        assert torch.equal(mixed.valid[patch], expected % 2 == 0)
        assert torch.equal(mixed.teacher_probabilities[patch, 0], expected * 10.0)
        assert torch.equal(mixed.pseudo_labels[patch], expected * 100)


def test_a_point_moves_with_the_pixel_that_it_lies_in():
    # Rows 2 to 4 and columns 1 to 4; a pixel reaches half a pixel around its centre.
    places = [(1, 1.49, 3.0), (1, 1.5, 3.0), (1, 4.49, 4.4), (1, 4.5, 3.0), (1, 3.0, 0.4), (0, 3.0, 3.0)]
    mixed = cutmix(_view(_points(*places)), Window(2, 1, 3, 4)).points

    assert mixed.index.tolist() == [1, 0, 0, 1, 1, 2]
    assert mixed.row.tolist() == [row for _, row, _ in places]
    assert mixed.label.tolist() == list(range(6))


def test_points_and_pixels_move_alike():
    """A picture that holds each pixel's own patch tells where every point belongs."""
    generator = torch.Generator().manual_seed(0)
    places = [(int(p), r, c) for p, (r, c) in enumerate((torch.rand(3, 2, generator=generator) * 7).tolist())]
    for _ in range(20):
        view = _view(_points(*places))
        mixed = cutmix(view, draw_box(8, generator))
        for patch, row, col, label in zip(
            mixed.points.index, mixed.points.row, mixed.points.col, mixed.points.label, strict=True
        ):
            # The point of label k was drawn on patch k.
            assert mixed.images[patch, 0, int(row + 0.5), int(col + 0.5)] == label


def test_with_one_patch_nothing_changes():
    view = _view(_points((0, 3.0, 3.0)), count=1)
    mixed = cutmix(view, Window(0, 0, 8, 8))
    assert torch.equal(mixed.images, view.images)
    assert mixed.points.index.tolist() == [0]


@pytest.mark.parametrize("side", [2, 33, 256])
def test_boxes_lie_inside_and_have_the_area_asked_for(side):
    generator = torch.Generator().manual_seed(0)
    boxes = [draw_box(side, generator, (0.2, 0.5)) for _ in range(200)]
    for box in boxes:
        assert 0 <= box.row <= box.row + box.height <= side
        assert 0 <= box.col <= box.col + box.width <= side
        if side == 256:
            assert 0.19 < box.height * box.width / side**2 < 0.51
    assert side == 2 or len({(box.row, box.height) for box in boxes}) > 50
