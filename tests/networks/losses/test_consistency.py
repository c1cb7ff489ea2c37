import math

import pytest
import torch

from geoseg.networks.losses.consistency import consistency, most_confident

ALL = torch.ones(1, 1, 2, dtype=torch.bool)


def _pixels(*values):
    """Return a map (1, C, 1, P) of one value a class for each pixel."""
    return torch.tensor(values).T[None, :, None]


def test_consistency_is_the_mean_cross_entropy_under_the_teacher():
    logits = _pixels([0.0, 0.0], [math.log(3), 0.0])
    teacher_probabilities = _pixels([0.5, 0.5], [1.0, 0.0])
    assert consistency(logits, teacher_probabilities, ALL).item() == pytest.approx(
        (math.log(2) + math.log(4 / 3)) / 2
    )


def test_only_counted_pixels_teach():
    logits = _pixels([0.0, 0.0], [5.0, 0.0]).requires_grad_()
    counted = torch.tensor([[[True, False]]])
    loss = consistency(logits, _pixels([0.5, 0.5], [0.0, 1.0]), counted)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert not logits.grad[..., 1].any()
    nothing = consistency(logits, _pixels([1.0, 0.0], [1.0, 0.0]), ~ALL)
    assert nothing.item() == 0


def test_a_student_that_agrees_has_no_gradient():
    logits = _pixels([0.3, -1.0], [2.0, 0.5]).requires_grad_()
    consistency(logits, logits.detach().softmax(1), ALL).backward()
    torch.testing.assert_close(logits.grad, torch.zeros_like(logits), atol=1e-7, rtol=0)


def test_each_class_keeps_the_same_portion_of_its_pixels():
    # Four pixels of class 0, two of class 1, which the teacher is never as sure of.
    sure = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.95, 0.05], [0.4, 0.6], [0.45, 0.55]]
    valid = torch.ones(1, 1, 6, dtype=torch.bool)
    assert most_confident(_pixels(*sure), valid, 0.5)[0, 0].tolist() == [
        True,
        False,
        False,
        True,
        True,
        False,
    ]


def test_a_class_keeps_one_pixel_at_least_and_invalid_ones_never_count():
    teacher_probabilities = _pixels([0.9, 0.1], [0.8, 0.2], [0.3, 0.7])
    valid = torch.tensor([[[False, True, True]]])
    assert most_confident(teacher_probabilities, valid, 0.01)[0, 0].tolist() == [False, True, True]
    assert torch.equal(most_confident(teacher_probabilities, valid, 1.0), valid)
