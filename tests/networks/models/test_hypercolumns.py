from dataclasses import replace

import pytest
import torch
from torch.nn import functional

from geoseg.learning.heads.logistic import Probe
from geoseg.networks.features.texture import texture
from geoseg.networks.models.deeplab import BACKBONES, SCALES, Architecture, build_network
from geoseg.networks.models.hypercolumns import LAYERS, build_layer_network, freeze_early_stages

ARCHITECTURE = Architecture("resnet50", 3, 4, 64, head="linear")


@pytest.fixture
def linear():
    torch.manual_seed(0)
    return build_layer_network(ARCHITECTURE)


@pytest.mark.parametrize("scales", SCALES)
def test_logits_are_the_probe_of_all_layers_upsampled(scales):
    torch.manual_seed(0)
    network = build_layer_network(replace(ARCHITECTURE, scales=scales))
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        layers = network.features(images)
        full = torch.cat(
            [functional.interpolate(f, (64, 96), mode="bilinear", align_corners=False) for f in layers], 1
        )
        probe = Probe((torch.randn(4, full.shape[1]) / 40).numpy(), torch.randn(4).numpy())
        network.write(probe)
        expected = torch.from_numpy(probe.scores(full.movedim(1, -1).numpy())).movedim(-1, 1)
        torch.testing.assert_close(network(images), expected, atol=1e-4, rtol=1e-4)


def test_an_enlarged_image_gives_finer_layers(linear):
    torch.manual_seed(0)
    fine = build_layer_network(replace(ARCHITECTURE, scales=(2,)))
    images = torch.zeros(1, 3, 64, 64)
    with torch.inference_mode():
        sizes = [[f.shape[-1] for f in network.features(images)] for network in (linear, fine)]
    assert sizes == [[32, 16, 8, 8], [64, 32, 16, 16]]


def test_at_two_scales_the_layers_of_each_come_one_after_the_other(linear):
    both = build_layer_network(replace(ARCHITECTURE, scales=(1, 2)))
    both.backbone.load_state_dict(linear.backbone.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        plain, found = linear.features(images), both.features(images)
    assert [f.shape[-1] for f in found] == [32, 16, 8, 8, 64, 32, 16, 16]
    for one, other in zip(plain, found, strict=False):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_every_backbone_has_layers_to_read(backbone):
    network = build_layer_network(Architecture(backbone, 4, 3, 64, head="linear"))
    with torch.inference_mode():
        assert len(network.features(torch.zeros(1, 4, 64, 64))) == len(LAYERS[backbone])
        assert network(torch.zeros(2, 4, 64, 64)).shape == (2, 3, 64, 64)


def test_its_layers_are_those_of_the_whole_network(linear):
    torch.manual_seed(1)
    whole = build_network(replace(ARCHITECTURE, head="aspp")).eval()
    own = linear.state_dict()
    linear.load_state_dict({n: t for n, t in whole.state_dict().items() if n in own}, strict=False)
    images = torch.randn(1, 3, 64, 64)
    seen = {}
    whole.backbone["layer3"].register_forward_hook(lambda _m, _i, out: seen.update(out=out))
    with torch.inference_mode():
        whole(images)
        torch.testing.assert_close(linear.features(images)[-1], seen["out"])


def test_logits_are_float32_where_the_backbone_computes_in_bf16(linear):
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        assert linear(torch.randn(1, 3, 64, 64)).dtype == torch.float32


def test_only_the_late_stages_learn(linear):
    late = {id(parameter) for parameter in freeze_early_stages(linear)}
    learning = {name for name, parameter in linear.named_parameters() if parameter.requires_grad}
    assert {id(linear.get_parameter(name)) for name in learning} == late
    assert {name.split(".")[1] for name in learning} == {"layer2", "layer3"}
    assert all(name.startswith("backbone.") for name in learning)


def test_with_texture_all_bands_are_read_and_the_backbone_takes_three():
    torch.manual_seed(0)
    network = build_layer_network(replace(ARCHITECTURE, bands=5, has_texture=True))
    images = torch.randn(1, 5, 64, 64)
    with torch.inference_mode():
        *layers, fine, coarse, coarsest = network.features(images)
        plain = build_layer_network(ARCHITECTURE)
        plain.backbone.load_state_dict(network.backbone.state_dict())
        for one, other in zip(layers, plain.features(images[:, :3]), strict=True):
            torch.testing.assert_close(one, other)
        torch.testing.assert_close([fine, coarse, coarsest], texture(images))
        assert network(images).shape == (1, 4, 64, 64)
        # The fifth band counts.
        assert not torch.equal(
            network(images), network(images * torch.tensor([1, 1, 1, 1, 0.0])[:, None, None])
        )


def test_with_fewer_bands_than_three_the_backbone_takes_all():
    assert replace(ARCHITECTURE, bands=2, has_texture=True).backbone_bands == 2
    assert replace(ARCHITECTURE, bands=5).backbone_bands == 5
