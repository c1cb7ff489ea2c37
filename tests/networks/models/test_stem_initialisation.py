import math

import pytest
import torch
from torch import nn

from geoseg.networks.models.stem_initialisation import init_gabor_filters, init_stem


@pytest.mark.parametrize(("bands", "filters", "side"), [(3, 64, 7), (1, 64, 7), (8, 16, 3)])
def test_every_filter_has_the_norm_of_kaimings_rule(bands, filters, side):
    convolution = nn.Conv2d(bands, filters, side, bias=False)
    torch.manual_seed(0)
    init_gabor_filters(convolution)
    expected = math.sqrt(2 / (filters * side * side) * bands * side * side)
    norms = convolution.weight.flatten(1).norm(dim=1)
    torch.testing.assert_close(norms, torch.full((filters,), expected))


def test_blobs_answer_to_color_and_gratings_to_texture_alone():
    convolution = nn.Conv2d(3, 64, 7, bias=False)
    torch.manual_seed(0)
    init_gabor_filters(convolution)
    answers = convolution(torch.ones(1, 3, 7, 7)).flatten().abs()
    assert answers[32:].max() < 1e-5
    assert (answers[:32] > 1e-3).float().mean() > 0.9


def test_a_stem_with_weights_is_left_alone(network):
    own = network()
    before = own.backbone["0"][0].weight.clone()
    assert not init_stem(own, {"backbone.1.block.0.0.weight"})
    assert torch.equal(own.backbone["0"][0].weight, before)
    assert init_stem(own, set(own.state_dict()))
    assert not torch.equal(own.backbone["0"][0].weight, before)
