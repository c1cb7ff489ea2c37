import torch
from torch import nn
from torchvision.models.resnet import Bottleneck

from geoseg.networks.models.stage_initialisation import init_identity_blocks


def _block() -> nn.ModuleDict:
    shortcut = nn.Sequential(nn.Conv2d(8, 16, 1, bias=False), nn.BatchNorm2d(16))
    return nn.ModuleDict({"block": Bottleneck(8, 4, downsample=shortcut)})


def test_a_block_without_weights_passes_on_its_input_and_its_negative():
    network = _block().eval()
    names = [f"block.{n}" for n, _ in network["block"].named_parameters()]
    assert init_identity_blocks(network, names) == 1
    features = torch.randn(2, 8, 5, 5)
    out = network["block"](features)
    expected = torch.cat([features.relu(), (-features).relu()], dim=1)
    torch.testing.assert_close(out, expected, atol=1e-4, rtol=1e-4)


def test_a_block_with_its_convolutions_is_left_alone():
    network = _block()
    before = {n: t.clone() for n, t in network.state_dict().items()}
    assert init_identity_blocks(network, ["block.bn1.running_mean", "block.downsample.0.weight"]) == 0
    assert all(torch.equal(before[n], t) for n, t in network.state_dict().items())


def test_a_block_that_only_lacks_convolutions_keeps_its_shortcut():
    network = _block()
    shortcut = network["block"].downsample[0].weight.clone()
    assert init_identity_blocks(network, ["block.conv2.weight"]) == 1
    assert torch.equal(network["block"].downsample[0].weight, shortcut)
    assert not network["block"].bn3.weight.any()


def test_the_residual_branch_can_learn():
    network = _block()
    init_identity_blocks(network, [f"block.{n}" for n, _ in network["block"].named_parameters()])
    network["block"](torch.randn(2, 8, 5, 5)).square().mean().backward()
    assert network["block"].bn3.weight.grad.abs().max() > 0
