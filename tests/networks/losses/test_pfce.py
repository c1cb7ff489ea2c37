import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from geoseg.errors import SettingsError
from geoseg.networks.losses.pfce import PatchPoints, focal_sums, pfce_at_points, pfce_dense

SIZES = [((2, 3, 4, 5), (17, 23)), ((1, 4, 3, 3), (24, 24)), ((3, 2, 1, 1), (7, 5)), ((1, 3, 6, 2), (6, 9))]


def _sparse(shape, size, seed=0, count=9):
    """Random low-resolution logits, and the same labels as a raster and as points, borders included."""
    rng = torch.Generator().manual_seed(seed)
    patches, classes, height, width = shape[0], shape[1], *size
    labels = torch.full((patches, height, width), 255)
    rows = torch.randint(height, (patches * count,), generator=rng)
    cols = torch.randint(width, (patches * count,), generator=rng)
    rows[:4], cols[:4] = (
        torch.tensor([0, 0, height - 1, height - 1]),
        torch.tensor([0, width - 1, 0, width - 1]),
    )
    index = torch.arange(patches).repeat_interleave(count)
    labels[index, rows, cols] = torch.randint(classes, (len(rows),), generator=rng)
    index, rows, cols = torch.nonzero(labels != 255, as_tuple=True)
    label = labels[index, rows, cols]
    weight = torch.rand(len(rows), generator=rng)
    points = PatchPoints(index, rows.double(), cols.double(), label, weight)
    return torch.randn(shape, generator=rng, dtype=torch.float64), labels, points


def _upsampled(logits, size):
    return functional.interpolate(logits, size, mode="bilinear", align_corners=False)


def test_with_gamma_0_the_dense_loss_is_cross_entropy_over_the_labelled_pixels():
    logits, labels, _ = _sparse((2, 3, 17, 23), (17, 23))
    weights = torch.tensor([0.5, 2.0, 1.0], dtype=torch.float64)
    for class_weights in (None, weights):
        expected = functional.cross_entropy(logits, labels, weight=class_weights, ignore_index=255)
        loss = pfce_dense(logits, labels, gamma=0, class_weights=class_weights)
        torch.testing.assert_close(loss, expected)


def test_the_loss_of_one_point_is_what_it_is_by_hand():
    # p of the true class is 3/4: (1/4)^2 * -log(3/4) = 0.0625 * 0.287682 = 0.01798
    logits = torch.tensor([[math.log(3.0), 0.0]])
    total, weight = focal_sums(logits, torch.tensor([0]))
    assert total.item() == pytest.approx(0.0625 * math.log(4 / 3), rel=1e-6)
    assert weight.item() == 1


def test_weights_of_points_and_classes_multiply_and_are_divided_out():
    # Two points with p = 1/2 each: the loss is the same whatever the weights; their sum is 2*3 + 0.5*1.
    logits = torch.zeros(2, 2)
    total, weight = focal_sums(
        logits,
        torch.tensor([0, 1]),
        torch.tensor([2.0, 0.5]),
        gamma=2,
        class_weights=torch.tensor([3.0, 1.0]),
    )
    assert weight.item() == 6.5
    assert (total / weight).item() == pytest.approx(0.25 * math.log(2), rel=1e-6)


@pytest.mark.parametrize("form", ["dense", "points"])
@pytest.mark.parametrize("gamma", [0, 2])
def test_without_a_labelled_point_the_loss_and_its_gradients_are_zero(form, gamma):
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    none = torch.zeros(0)
    if form == "dense":
        loss = pfce_dense(logits, torch.full((2, 4, 4), 255), gamma=gamma)
    else:
        points = PatchPoints(none.long(), none, none, none.long(), none)
        loss = pfce_at_points(logits, points, (16, 16), gamma=gamma)
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_unlabelled_pixels_get_exactly_zero_gradient():
    logits, labels, _ = _sparse((2, 3, 17, 23), (17, 23))
    logits.requires_grad_()
    pfce_dense(logits, labels).backward()
    has_gradient = (logits.grad != 0).any(dim=1)
    assert torch.equal(has_gradient, labels != 255)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("shape", "size"), SIZES)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_both_forms_agree_in_value_and_gradient(shape, size, gamma, dtype):
    logits, labels, points = _sparse(shape, size)
    class_weights = torch.arange(1.0, 1 + shape[1])
    pixel_weights = torch.zeros(labels.shape)
    pixel_weights[labels != 255] = points.weight
    dense, sparse = (logits.to(dtype).clone().requires_grad_() for _ in range(2))
    one = pfce_dense(
        _upsampled(dense, size),
        labels,
        gamma=gamma,
        class_weights=class_weights,
        pixel_weights=pixel_weights,
    )
    other = pfce_at_points(sparse, points, size, gamma=gamma, class_weights=class_weights)
    torch.testing.assert_close(other, one)
    one.backward()
    other.backward()
    torch.testing.assert_close(sparse.grad, dense.grad)


def test_points_of_no_weight_give_neither_loss_nor_gradient():
    logits, _, points = _sparse((2, 3, 4, 5), (17, 23))
    logits.requires_grad_()
    loss = pfce_at_points(logits, replace(points, weight=torch.zeros(len(points.row))), (17, 23))
    loss.backward()
    assert loss.item() == 0
    assert torch.equal(logits.grad, torch.zeros_like(logits))


def test_a_sure_and_right_pixel_has_a_finite_gradient_whatever_gamma():
    for gamma in (0.0, 0.3, 1.0, 2.0):
        logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
        total, weight = focal_sums(logits, torch.tensor([0]), gamma=gamma)
        (total / weight).backward()
        assert torch.isfinite(logits.grad).all()


def test_bf16_logits_under_autocast_are_computed_in_float32():
    # Many points to a cell: their gradients add up in float32 and are rounded once.
    logits, _, points = _sparse((2, 3, 4, 5), (17, 23), count=99)
    half = logits.bfloat16().requires_grad_()
    full = half.detach().float().requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        loss = pfce_at_points(half, points, (17, 23))
    expected = pfce_at_points(full, points, (17, 23))
    assert loss.dtype == torch.float32
    assert torch.equal(loss, expected)
    loss.backward()
    expected.backward()
    assert torch.equal(half.grad, full.grad.bfloat16())


def test_dense_bf16_logits_under_autocast_are_computed_in_float32():
    logits, labels, _ = _sparse((2, 3, 17, 23), (17, 23))
    half = logits.bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        loss = pfce_dense(half, labels)
    assert torch.equal(loss, pfce_dense(half.float(), labels))


def test_a_negative_gamma_is_refused():
    with pytest.raises(SettingsError, match=r"^gamma: .*expected 0 or more; got -1\.$"):
        focal_sums(torch.zeros(1, 2), torch.tensor([0]), gamma=-1)
