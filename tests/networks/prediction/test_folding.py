from itertools import product

import pytest
import torch
from torch import nn

from geoseg.networks.models.deeplab import Architecture, LocalMean, build_network
from geoseg.networks.models.hypercolumns import build_layer_network
from geoseg.networks.prediction.folding import fold_batch_norms


def _with_statistics(network):
    """Give batch norms what training would: none is the identity."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.running_mean.uniform_(-0.5, 0.5)
            norm.running_var.uniform_(0.5, 2)
            if norm.affine:
                nn.init.uniform_(norm.weight, 0.5, 1.5)
                nn.init.uniform_(norm.bias, -0.5, 0.5)
    return network.eval()


class _Graph(nn.Module):
    """Modules by name, and how they are joined."""

    def __init__(self, join, **modules):
        super().__init__()
        self.join = join
        for name, module in modules.items():
            self.add_module(name, module)

    def forward(self, images):
        return self.join(self, images)


def _norms(network):
    return [m for m in network.modules() if isinstance(m, nn.BatchNorm2d)]


@torch.no_grad()
def _difference(found, expected):
    return float((found - expected).abs().max() / expected.abs().max())


def _network(backbone, output_stride=16, block_style="pytorch"):
    torch.manual_seed(0)
    return _with_statistics(build_network(Architecture(backbone, 3, 4, 128, output_stride, block_style)))


@pytest.mark.parametrize(
    ("backbone", "stride", "style"),
    [("mobilenet_v3_large", 16, "pytorch"), *product(["resnet50"], [8, 16], ["pytorch", "caffe"])],
)
def test_a_folded_network_gives_the_same_logits(backbone, stride, style):
    network, images = _network(backbone, stride, style), torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert _difference(fold_batch_norms(network)(images), network(images)) < 1e-4


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


class _NormWithActivation(nn.BatchNorm2d):
    def forward(self, features):
        return super().forward(features).relu()


def test_a_subclass_of_batch_norm_stays_because_it_may_do_more():
    torch.manual_seed(0)
    network, images = (
        _with_statistics(nn.Sequential(nn.Conv2d(3, 8, 1), _NormWithActivation(8))),
        torch.randn(2, 3, 8, 8),
    )
    folded = fold_batch_norms(network)
    assert isinstance(folded[1], _NormWithActivation)
    assert torch.equal(folded(images), network(images))


@pytest.mark.parametrize(
    ("why", "join"),
    [
        ("the convolution is used elsewhere", lambda n, x: n.norm(y := n.one(x)) + y),
        ("its output is changed in between", lambda n, x: n.norm(n.one(x).mul_(2))),
        ("its output is seen by a view", lambda n, x: n.norm(n.one(x).flip(1))),
        ("the norm serves two convolutions", lambda n, x: n.norm(n.one(x)) + n.norm(n.two(x))),
        ("the norm serves an input as well", lambda n, x: n.norm(n.one(x)) + n.norm(x.repeat(1, 2, 1, 1))),
        ("the convolution is returned", lambda n, x: torch.cat([y := n.one(x), n.norm(y)])),
    ],
)
def test_a_batch_norm_stays_where(why, join):
    torch.manual_seed(0)
    network = _with_statistics(
        _Graph(join, one=nn.Conv2d(3, 6, 1), two=nn.Conv2d(3, 6, 1), norm=nn.BatchNorm2d(6))
    )
    images = torch.randn(2, 3, 8, 8)
    folded = fold_batch_norms(network)
    assert len(_norms(folded)) == 1, why
    assert torch.equal(folded(images), network(images))


@pytest.mark.parametrize(
    "convolution",
    [
        nn.Conv2d(3, 6, 3, groups=3, bias=False),
        nn.Conv2d(3, 6, 3, dilation=2, padding=2),
        nn.Conv2d(3, 6, 3, stride=2, padding=1, padding_mode="reflect"),
        nn.Sequential(nn.Conv2d(3, 6, 1), LocalMean(3)),
    ],
)
def test_layers_are_paired_by_what_flows_not_by_the_order_of_their_names(convolution):
    torch.manual_seed(0)
    network = _with_statistics(
        _Graph(lambda n, x: n.norm(n.last(x)), norm=nn.BatchNorm2d(6, affine=False), last=convolution)
    )
    images = torch.randn(2, 3, 16, 16)
    folded = fold_batch_norms(network)
    assert not _norms(folded)
    assert _difference(folded(images), network(images)) < 1e-5


def test_a_norm_behind_a_transposed_convolution_or_without_statistics_stays():
    torch.manual_seed(0)
    for layers in (
        (nn.ConvTranspose2d(3, 6, 3), nn.BatchNorm2d(6)),
        (nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6, track_running_stats=False)),
    ):
        assert len(_norms(fold_batch_norms(nn.Sequential(*layers).eval()))) == 1


def test_a_network_whose_folded_output_differs_stays_unfolded_and_the_log_says_so(caplog):
    torch.manual_seed(0)
    network = _with_statistics(nn.Sequential(nn.Conv2d(3, 8, 1), nn.BatchNorm2d(8)))
    network[1].register_forward_hook(lambda module, taken, given: given.relu())
    folded = fold_batch_norms(network)
    assert len(_norms(folded)) == 1
    assert "not folded" in caplog.text
    images = torch.randn(2, 3, 8, 8)
    assert torch.equal(folded(images), network(images))


@pytest.mark.parametrize(("backbone", "left"), [("regnetx_002", 0), ("densenet121", 44)])
def test_timms_norms_with_an_activation_are_folded_and_keep_it(backbone, left):
    pytest.importorskip("timm")
    torch.manual_seed(0)
    network = _with_statistics(
        build_layer_network(Architecture(backbone, 3, 3, head="linear", scales=(1, 2)))
    )
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        folded = fold_batch_norms(network)
        assert _difference(folded(images), network(images)) < 1e-4
    assert len(_norms(folded)) == left


def test_a_network_that_reads_more_bands_than_its_backbone_is_folded():
    torch.manual_seed(0)
    architecture = Architecture("mobilenet_v3_large", 5, 3, head="linear", has_texture=True)
    network, images = _with_statistics(build_layer_network(architecture)), torch.randn(1, 5, 64, 64)
    with torch.inference_mode():
        folded = fold_batch_norms(network)
        assert _difference(folded(images), network(images)) < 1e-4
    assert not _norms(folded)
