from itertools import product

import pytest
import torch
from torch import nn

from geoseg.learning.folding import fold_batch_norms
from geoseg.learning.models import Architecture, build_network


def _with_statistics(network):
    """Give batch norms what training would: none is the identity."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.5, 2)
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.uniform_(norm.bias, -0.5, 0.5)
    return network.eval()


def _network(backbone, output_stride=16, block_style="pytorch"):
    torch.manual_seed(0)
    return _with_statistics(build_network(Architecture(backbone, 3, 4, 128, output_stride, block_style)))


@pytest.mark.parametrize(
    ("backbone", "stride", "style"),
    [("mobilenet_v3_large", 16, "pytorch"), *product(["resnet50"], [8, 16], ["pytorch", "caffe"])],
)
def test_a_folded_network_gives_the_same_logits(backbone, stride, style):
    network, images = _network(backbone, stride, style), torch.randn(2, 3, 96, 160)
    with torch.inference_mode():
        expected, found = network(images), fold_batch_norms(network)(images)
    assert (found - expected).abs().max() < 1e-4 * expected.abs().max()


def test_every_batch_norm_is_folded_and_the_given_network_keeps_its_own():
    network = _network("resnet50")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    folded = fold_batch_norms(network)
    assert not [m for m in folded.modules() if isinstance(m, nn.BatchNorm2d)]
    after = network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_weights_that_do_not_change_are_shared():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
    folded = fold_batch_norms(network.eval())
    assert folded[0].weight.data_ptr() == network[0].weight.data_ptr()
    assert folded[2].weight.data_ptr() != network[2].weight.data_ptr()


def test_moving_the_folded_network_leaves_the_given_one_where_it_is():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Conv2d(8, 8, 1), nn.BatchNorm2d(8))
    fold_batch_norms(network.eval()).to(torch.float64)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_a_batch_norm_behind_something_else_stays():
    network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.BatchNorm2d(8))
    assert isinstance(fold_batch_norms(network.eval())[2], nn.BatchNorm2d)
