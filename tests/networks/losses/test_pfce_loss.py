"""The loss in a training loop that is not ours."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from geoseg import PFCELoss, SettingsError
from geoseg.losses import PatchPoints, pfce_at_points


def _labelled(classes=3, side=16, every=7, unlabelled=255):
    target = torch.full((2, side, side), unlabelled)
    target.view(-1)[::every] = torch.arange(len(target.view(-1)[::every])) % classes
    return torch.randn(2, classes, side, side, generator=torch.Generator().manual_seed(0)), target


def test_one_pixel_costs_what_it_does_by_hand():
    # p = 1/4 of four classes: (3/4)^2 * log 4
    logits, target = torch.zeros(1, 4, 2, 2), torch.tensor([[[255, 255], [2, 255]]])

    assert PFCELoss()(logits, target).item() == pytest.approx(0.75**2 * math.log(4))


@pytest.mark.parametrize("unlabelled", [255, -100, 7])
def test_with_gamma_0_it_is_the_cross_entropy_of_torch_whatever_marks_a_pixel_without_label(unlabelled):
    logits, target = _labelled(unlabelled=unlabelled)
    weight = torch.tensor([1.0, 2.0, 0.5])

    for weights in (None, weight):
        ours = PFCELoss(gamma=0, ignore_index=unlabelled, weight=weights)(logits, target)
        torch.testing.assert_close(
            ours, nn.CrossEntropyLoss(weights, ignore_index=unlabelled)(logits, target)
        )


def test_a_class_id_may_be_the_index_to_ignore():
    logits, target = _labelled(unlabelled=255)
    target[target == 255] = 0

    loss = PFCELoss(gamma=0, ignore_index=0)(logits, target)

    torch.testing.assert_close(loss, functional.cross_entropy(logits, target, ignore_index=0))


def test_without_a_label_the_loss_and_its_gradient_are_0():
    logits = torch.randn(1, 3, 8, 8, requires_grad=True)

    loss = PFCELoss()(logits, torch.full((1, 8, 8), 255, dtype=torch.uint8))
    loss.backward()

    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_at_points_it_is_the_same_loss_in_value_and_gradient():
    logits, target = _labelled()
    dense, sparse = (logits.clone().requires_grad_() for _ in range(2))
    index, row, col = torch.nonzero(target != 255, as_tuple=True)
    points = PatchPoints(index, row.double(), col.double(), target[index, row, col], torch.ones(len(index)))

    PFCELoss(gamma=1.5)(dense, target).backward()
    pfce_at_points(sparse, points, (16, 16), gamma=1.5).backward()

    torch.testing.assert_close(dense.grad, sparse.grad)


def test_a_plain_loop_learns_from_a_few_points():
    torch.manual_seed(0)
    truth = (torch.arange(64).expand(64, 64) // 32)[None]
    images = truth[:, None].float() + 0.1 * torch.randn(1, 1, 64, 64)
    target = torch.full_like(truth, 255)
    target[:, ::16, ::16] = truth[:, ::16, ::16]
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 1))
    optimizer, loss = torch.optim.Adam(network.parameters(), 0.05), PFCELoss(gamma=2.0, ignore_index=255)

    for _ in range(60):
        optimizer.zero_grad()
        loss(network(images), target).backward()
        optimizer.step()

    assert (network(images).argmax(1) == truth).float().mean() > 0.95


def test_it_moves_with_the_model_and_says_what_it_is():
    loss = PFCELoss(gamma=1.0, ignore_index=9, weight=torch.ones(3))

    assert repr(loss) == "PFCELoss(gamma=1.0, ignore_index=9)"
    assert loss.double().weight.dtype == torch.float64


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (torch.zeros(2, 8, 8).long(), r"^target: .* expected whole numbers of shape \(2, 16, 16\); got"),
        (torch.zeros(2, 16, 16), r"^target: .* got float32 of shape"),
        (torch.full((2, 16, 16), 3), r"^target: .* expected 0 to 2, or 255 .* got 3\.$"),
        (torch.full((2, 16, 16), -1), r"^target: .* got -1\.$"),
    ],
)
def test_a_target_that_does_not_fit_is_refused_by_its_name(target, message):
    with pytest.raises(SettingsError, match=message):
        PFCELoss()(torch.zeros(2, 3, 16, 16), target)


def test_logits_and_gamma_are_checked_too():
    with pytest.raises(SettingsError, match=r"^logits: .* expected \(N, C, H, W\); got \(3, 4\)\.$"):
        PFCELoss()(torch.zeros(3, 4), torch.zeros(3).long())
    with pytest.raises(SettingsError, match=r"^gamma: "):
        PFCELoss(gamma=-0.5)
