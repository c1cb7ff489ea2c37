import pytest
import torch
from torch import nn
from torchvision.models import segmentation

from geoseg.errors import SettingsError
from geoseg.inference.graphs.light_backbone import adapt_first_convolution
from geoseg.networks.models.deeplab import (
    BACKBONES,
    Architecture,
    LocalMean,
    LocalPooling,
    build_network,
    split_parameters,
)


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_a_network_takes_any_number_of_bands(bands):
    network = build_network(Architecture("mobilenet_v3_large", bands, 5, 64)).eval()
    with torch.inference_mode():
        assert network(torch.zeros(2, bands, 64, 96)).shape == (2, 5, 4, 6)


@pytest.mark.parametrize("backbone", ["resnet50", "resnet101"])
@pytest.mark.parametrize(("stride", "cells"), [(8, 8), (16, 4)])
@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_a_resnet_has_the_output_stride_asked_for(backbone, stride, cells, style):
    # On the device "meta" torch computes shapes only.
    with torch.device("meta"), torch.inference_mode():
        network = build_network(Architecture(backbone, 1, 4, 64, stride, style)).eval()
        assert network(torch.zeros(1, 1, 64, 64)).shape == (1, 4, cells, cells)


def test_the_caffe_style_strides_on_the_first_convolution():
    with torch.device("meta"):
        backbone = build_network(Architecture("resnet50", block_style="caffe")).backbone
    block = backbone.layer2[0]
    assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    # Where a stage is dilated instead of strided, its first 3x3 convolution is too.
    assert backbone.layer3[0].conv2.dilation == backbone.layer3[0].conv2.padding == (2, 2)


BUILDERS = {
    "resnet50": segmentation.deeplabv3_resnet50,
    "resnet101": segmentation.deeplabv3_resnet101,
    "mobilenet_v3_large": segmentation.deeplabv3_mobilenet_v3_large,
}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_parameters_have_torchvisions_names_and_shapes(backbone):
    with torch.device("meta"):
        theirs = BUILDERS[backbone](weights=None, weights_backbone=None, num_classes=6).state_dict()
        own = build_network(Architecture(backbone, classes=6)).state_dict()
    assert {n: t.shape for n, t in own.items()} == {n: t.shape for n, t in theirs.items()}


@pytest.mark.parametrize("backbone", BACKBONES)
def test_convolutions_of_the_backbone_are_torchvisions(backbone):
    def geometry(network):
        convolutions = (m for m in network.backbone.modules() if isinstance(m, nn.Conv2d))
        return [(c.kernel_size, c.stride, c.padding, c.dilation, c.groups) for c in convolutions]

    with torch.device("meta"):
        theirs = BUILDERS[backbone](weights=None, weights_backbone=None)
        assert geometry(build_network(Architecture(backbone))) == geometry(theirs)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_nothing_in_a_network_averages_over_the_whole_window(backbone):
    with torch.device("meta"):
        network = build_network(Architecture(backbone))
    assert not [n for n, m in network.named_modules() if isinstance(m, nn.AdaptiveAvgPool2d)]


def test_mobilenet_has_cells_of_16_px_and_atrous_rates_to_match():
    # 256 px are 16 cells: an eighth, a quarter and three eighths of them.
    architecture = Architecture("mobilenet_v3_large", patch_px=256, output_stride=8)
    assert architecture.cell_px == 16
    assert architecture.atrous_rates == (2, 4, 6)
    assert architecture.pooled_cells == 9


def test_a_local_mean_is_what_it_is_by_hand():
    features = torch.tensor([[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]])
    # In the corner 1, 2, 4 and 5; on the edge the six of two rows; in the middle all.
    expected = torch.tensor([[3.0, 3.5, 4.0], [4.5, 5.0, 5.5], [6.0, 6.5, 7.0]])
    torch.testing.assert_close(LocalMean(3)(features)[0, 0], expected)
    assert LocalMean(7)(features).unique().tolist() == [5.0]


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
        adapted = torch.from_numpy(adapt_first_convolution(weight.numpy(), bands))
        found = nn.functional.conv2d(grey.expand(-1, bands, -1, -1), adapted)
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("found", ["nothing", "all but the last stage", "everything"])
def test_what_starts_at_random_learns_with_the_head(found):
    with torch.device("meta"):
        network = build_network(Architecture("resnet50"))
    missing = {
        "nothing": list(network.state_dict()),
        "all but the last stage": [n for n in network.state_dict() if "layer4" in n],
        "everything": [],
    }[found]
    parts = split_parameters(network, missing)
    names = {id(p): ".".join(n.split(".")[:2]) for n, p in network.named_parameters()}
    pretrained, fresh = ({names[id(p)] for p in part} for part in parts)
    assert sum(map(len, parts)) == len(names)
    assert not pretrained & fresh
    assert {n for n in fresh if n.startswith("backbone")} == {
        "nothing": {n for n in names.values() if n.startswith("backbone")},
        "all but the last stage": {"backbone.layer4"},
        "everything": set(),
    }[found]


@pytest.mark.parametrize("style", ["pytorch", "caffe"])
def test_at_half_the_stride_every_second_cell_of_a_resnet_keeps_its_logits(style):
    torch.manual_seed(0)
    coarse = Architecture("resnet50", 3, 4, 128, 16, style)
    first = build_network(coarse).eval()
    # What is pooled is an odd number of cells, so that no two strides pool the same.
    first.classifier[0].convs[4][2].weight.data.zero_()
    second = build_network(coarse.at_stride(8)).eval()
    second.load_state_dict(first.state_dict())
    images = torch.randn(1, 3, 128, 128)
    with torch.inference_mode():
        torch.testing.assert_close(second(images)[:, :, ::2, ::2], first(images), rtol=1e-3, atol=1e-4)


def test_mobilenet_has_no_other_output_stride():
    architecture = Architecture("mobilenet_v3_large")
    assert architecture.at_stride(16).cell_px == 16
    with pytest.raises(
        SettingsError,
        match=r"--output-stride: .*expected 16, the only output stride of mobilenet_v3_large; got 8",
    ):
        architecture.at_stride(8)


def test_weights_trained_at_a_fine_stride_do_not_map_coarser():
    with pytest.raises(SettingsError, match="expected at most 8, as trained; got 16"):
        Architecture("resnet50", output_stride=8).at_stride(16)
