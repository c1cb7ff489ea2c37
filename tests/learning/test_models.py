import pytest
import torch
from torch import nn
from torchvision.models import segmentation

from geoseg.learning.models import (
    Architecture,
    LocalPooling,
    adapt_first_convolution,
    backbone_parameters,
    build_network,
)


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_a_network_takes_any_number_of_bands(bands):
    network = build_network(Architecture("mobilenet_v3_large", bands, 5, 64)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, bands, 64, 96)).shape == (2, 5, 4, 6)


@pytest.mark.parametrize(("stride", "cells"), [(8, 8), (16, 4)])
@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_a_resnet_has_the_output_stride_asked_for(stride, cells, style):
    network = build_network(Architecture("resnet50", 3, 4, 64, stride, style)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(1, 3, 64, 64)).shape == (1, 4, cells, cells)


def test_the_caffe_style_strides_on_the_first_convolution():
    block = build_network(Architecture("resnet50", block_style="caffe")).backbone.layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))


def test_parameters_have_torchvisions_names_and_shapes():
    theirs = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=6).state_dict()
    own = build_network(Architecture("resnet50", classes=6)).state_dict()
    assert {n: t.shape for n, t in own.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize("patch", [64, 128, 256, 512])
@pytest.mark.parametrize("stride", [8, 16])
def test_no_atrous_rate_reaches_past_half_the_patch(patch, stride):
    architecture = Architecture("resnet50", patch_px=patch, output_stride=stride)
    assert max(architecture.atrous_rates) * stride <= patch * 3 / 4
    if patch >= 128:
        assert max(architecture.atrous_rates) * stride <= patch / 2


def test_image_pooling_sees_its_neighbourhood_and_nothing_beyond():
    parts = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU()
    )
    pooling = LocalPooling(parts, 5).eval()
    features = torch.randn(1, 2, 20, 20)
    changed = features.clone()
    changed[..., 13:] += 5
    with torch.inference_mode():
        before, after = pooling(features), pooling(changed)
    torch.testing.assert_close(before[..., :11], after[..., :11])
    assert not torch.equal(before[..., 11], after[..., 11])


def test_image_pooling_of_a_constant_is_constant_up_to_the_border():
    parts = nn.Sequential(
        nn.AdaptiveAvgPool2d(1), nn.Conv2d(2, 3, 1, bias=False), nn.BatchNorm2d(3), nn.ReLU()
    )
    with torch.inference_mode():
        out = LocalPooling(parts, 9).eval()(torch.ones(1, 2, 12, 7))
    torch.testing.assert_close(out, out[..., :1, :1].expand_as(out))


def test_a_last_batch_of_one_survives_batch_norm():
    network = build_network(Architecture("mobilenet_v3_large", 3, 2, 64)).train()
    network(torch.randn(1, 3, 64, 64)).sum().backward()


def test_a_grey_picture_looks_the_same_to_an_adapted_first_convolution():
    weight = torch.randn(4, 3, 3, 3)
    grey = torch.randn(1, 1, 8, 8)
    expected = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), weight)
    for bands in (1, 2, 3, 4, 8):
        adapted = adapt_first_convolution(weight, bands)
        found = nn.functional.conv2d(grey.expand(-1, bands, -1, -1), adapted)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_stages_without_weights_learn_at_the_rate_of_the_head():
    network = build_network(Architecture("resnet50"))
    missing = {
        "backbone.layer4.0.conv2.weight",
        *(n for n in network.state_dict() if n.startswith("classifier")),
    }
    slow, fast = backbone_parameters(network, missing)
    names = {id(p): n for n, p in network.named_parameters()}
    assert {names[id(p)].split(".")[1] for p in slow} == {"conv1", "bn1", "layer1", "layer2", "layer3"}
    assert len(slow) + len(fast) == len(list(network.parameters()))
