from dataclasses import replace

import pytest
import torch
from torch import nn

from geoseg.learning.calibration import Calibration
from geoseg.networks.fitting.patch_augmentation import View
from geoseg.networks.fitting.unlabelled_losses import UnlabelledLosses
from geoseg.networks.losses.pfce import PatchPoints

SIDE = 16


@pytest.fixture
def view():
    generator = torch.Generator().manual_seed(0)
    points = PatchPoints(
        torch.tensor([0, 1]),
        torch.tensor([3.0, 9.0]).double(),
        torch.tensor([4.0, 12.0]).double(),
        torch.tensor([0, 1]),
        torch.ones(2),
    )
    images = torch.randn(2, 3, SIDE, SIDE, generator=generator)
    return View(images, torch.ones(2, SIDE, SIDE, dtype=torch.bool), points)


class Sided(nn.Module):
    """Calls the west class 0 and the east class 1, however the image is turned."""

    def forward(self, images):
        east = (torch.arange(images.shape[-1]) >= images.shape[-1] // 2).float() * 8 - 4
        east = east.expand(images.shape[0], images.shape[-2], -1)
        return torch.stack([-east, east], dim=1)


def _generator():
    return torch.Generator().manual_seed(0)


def test_without_a_part_there_is_only_the_loss_at_the_points(view):
    unlabelled_losses = UnlabelledLosses()
    shown = unlabelled_losses.augment(view, Sided(), _generator())
    at_points = torch.tensor(0.7)
    assert shown.teacher_probabilities is None
    assert torch.equal(
        unlabelled_losses.loss(torch.randn(2, 2, SIDE, SIDE), shown, at_points, gamma=2.0), at_points
    )


def test_the_teacher_sees_the_view_before_it_is_changed(view):
    seen = []

    class Watching(Sided):
        def forward(self, images):
            seen.append(images.clone())
            return super().forward(images)

    shown = UnlabelledLosses(consistency=1.0, color=0.5).augment(view, Watching(), _generator())
    assert torch.equal(seen[0], view.images)
    assert not torch.equal(shown.images, view.images)


def test_a_teacher_that_a_turn_does_not_change_answers_the_same_when_it_sees_turns(view):
    class Bright(nn.Module):
        def forward(self, images):
            return torch.cat([images[:, :1], -images[:, :1]], dim=1)

    plain, turned = (
        [
            UnlabelledLosses(consistency=1.0, has_rotations=t, color=0.0)
            .augment(view, Bright(), g)
            .teacher_probabilities
            for _ in range(8)
        ]
        for t, g in ((False, _generator()), (True, _generator()))
    )
    assert all(torch.equal(one, other) for one, other in zip(plain, turned, strict=True))


def test_a_teacher_that_a_turn_does_change_answers_differently(view):
    generator = _generator()
    unlabelled_losses = UnlabelledLosses(consistency=1.0, has_rotations=True)
    answers = [
        unlabelled_losses.augment(view, Sided(), generator).teacher_probabilities[0, 1] for _ in range(40)
    ]
    # West, east, north and south are each called class 1 in some turn.
    assert {tuple(answer[[0, 0, -1, -1], [0, -1, 0, -1]].round().int().tolist()) for answer in answers} == {
        (0, 1, 0, 1),
        (1, 0, 1, 0),
        (0, 0, 1, 1),
        (1, 1, 0, 0),
    }


def test_the_teacher_speaks_of_the_land_and_not_of_the_points(view):
    class Undecided(nn.Module):
        def forward(self, images):
            return torch.zeros(len(images), 2, *images.shape[-2:])

    calibration = Calibration(2.0, (1.0, 0.0))
    shown = UnlabelledLosses(consistency=1.0, calibration=calibration).augment(
        view, Undecided(), _generator()
    )
    expected = torch.tensor([1.0, 0.0]).softmax(0)
    torch.testing.assert_close(shown.teacher_probabilities[0, :, 0, 0], expected)
    # A student with the teacher's logits agrees with it.
    logits = torch.zeros(2, 2, SIDE, SIDE, requires_grad=True)
    unlabelled_losses = UnlabelledLosses(consistency=1.0, calibration=calibration)
    unlabelled_losses.loss(logits, shown, torch.tensor(0.0), gamma=2.0).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-7, rtol=0)


def test_every_part_adds_its_own_weight(view):
    full = UnlabelledLosses(consistency=1.0, growing=1.0, affinity=1.0, has_cutmix=True, min_probability=0.6)
    shown = full.augment(view, Sided(), _generator())
    logits, at_points = torch.randn(2, 2, SIDE, SIDE, generator=_generator()), torch.tensor(0.5)
    off = {"consistency": 0.0, "growing": 0.0, "affinity": 0.0}
    alone = {
        name: replace(full, **{**off, name: 1.0}).loss(logits, shown, at_points, gamma=2.0) - at_points
        for name in off
    }
    assert all(term > 0 for term in alone.values())
    total = full.loss(logits, shown, at_points, gamma=2.0)
    torch.testing.assert_close(total, at_points + sum(alone.values()))
    double = replace(full, consistency=2.0, points=3.0).loss(logits, shown, at_points, gamma=2.0)
    torch.testing.assert_close(double, total + alone["consistency"] + 2 * at_points)


def test_grown_labels_teach_where_no_point_lies(view):
    unlabelled_losses = UnlabelledLosses(growing=1.0, min_probability=0.6, color=0.0)
    shown = unlabelled_losses.augment(view, Sided(), _generator())
    # The point of class 0 lies in the west, that of class 1 in the east.
    assert (shown.pseudo_labels[0, :, : SIDE // 2] == 0).all()
    assert (shown.pseudo_labels[0, :, SIDE // 2 :] == 255).all()
    assert (shown.pseudo_labels[1, :, SIDE // 2 :] == 1).all()
    logits = torch.zeros(2, 2, SIDE, SIDE, requires_grad=True)
    unlabelled_losses.loss(logits, shown, torch.tensor(0.0), gamma=0.0).backward()
    assert (logits.grad[0, 0, :, : SIDE // 2] < 0).all()
    assert not logits.grad[0, :, :, SIDE // 2 :].any()


def test_a_class_that_is_absent_from_an_image_is_not_taught_there(view):
    unlabelled_losses = UnlabelledLosses(consistency=1.0, absent={"a": (False, True), "b": (False, False)})
    absent = unlabelled_losses.absent_in(["b", "a"])
    assert absent.tolist() == [[False, False], [False, True]]
    shown = unlabelled_losses.augment(replace(view, absent=absent), Sided(), _generator())
    assert (shown.teacher_probabilities[0, 1, :, SIDE // 2 :] > 0.9).all()
    assert not shown.teacher_probabilities[1, 1].any()
    assert torch.equal(shown.teacher_probabilities[1, 0], torch.ones(SIDE, SIDE))
    assert unlabelled_losses.loss(
        torch.randn(2, 2, SIDE, SIDE), shown, torch.tensor(0.0), gamma=2.0
    ).isfinite()
    assert UnlabelledLosses().absent_in(["a"]) is None
