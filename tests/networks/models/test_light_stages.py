"""The bundled backbone: the same network as timm's, with the weights of the package, whatever runs it."""

from __future__ import annotations

import importlib.util
from importlib.resources import files
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from geoseg.errors import SettingsError
from geoseg.inference.graphs.assembly import join_tensors
from geoseg.inference.graphs.layers import LayerPlan, linear_graph
from geoseg.learning.architecture import LIGHT_BACKBONE, Architecture
from geoseg.learning.model_file import inference_graph
from geoseg.networks.models.hypercolumns import build_layer_network
from geoseg.networks.models.light_stages import LightStages, load_bundled_weights
from geoseg.networks.models.locality import is_local
from geoseg.networks.models.rebuilding import rebuild_network
from geoseg.networks.models.weight_checks import check_weights

GRAPH = files("geoseg.inference") / "backbones" / "efficientnet_lite0.onnx"
SCRIPT = Path(__file__).parents[3] / "scripts" / "bundle_backbone.py"


def images(bands: int = 3) -> torch.Tensor:
    return torch.randn(2, bands, 96, 160, generator=torch.Generator().manual_seed(0))


def run(graph: bytes, pixels: torch.Tensor) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(graph).run(None, {"images": pixels.numpy()})


@torch.no_grad()
def test_torch_and_onnx_runtime_give_the_same_layers():
    found = LightStages(3, is_pretrained=True).eval()(images())

    assert [tuple(layer.shape[1:]) for layer in found] == [
        (16, 48, 80),
        (24, 24, 40),
        (40, 12, 20),
        (112, 6, 10),
    ]
    for layer, expected in zip(found, run(GRAPH.read_bytes(), images()), strict=True):
        np.testing.assert_allclose(layer.numpy(), expected, atol=1e-4 * np.abs(expected).max())


@torch.inference_mode()
@pytest.mark.parametrize("has_texture", [False, True])
def test_a_graph_made_without_torch_gives_the_logits_of_the_torch_network(has_texture):
    torch.manual_seed(0)
    architecture = Architecture(LIGHT_BACKBONE, 4, 3, head="linear", scales=(1, 2), has_texture=has_texture)
    plan = LayerPlan(4, architecture.backbone_bands, (1, 2), has_texture)
    weight = torch.randn(3, sum(plan.counts)).numpy() / 10
    graph = inference_graph(linear_graph(plan, weight, np.array([1, 2, 3], np.float32)))

    expected = rebuild_network(architecture, graph.tensors)(images(4))

    [found] = run(graph_of(graph), images(4))
    np.testing.assert_allclose(found, expected, atol=1e-4 * float(expected.abs().max()))


def graph_of(graph):
    return join_tensors(graph.graph, graph.tensors).SerializeToString()


@torch.no_grad()
def test_the_script_writes_the_graph_of_timms_network():
    """Batch norms with random statistics are folded, and the padding is TensorFlow's."""
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    network = timm.create_model("tf_efficientnet_lite0", features_only=True, out_indices=(0, 1, 2, 3)).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    spec = importlib.util.spec_from_file_location("bundle_backbone", SCRIPT)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    theirs = [tensor.numpy() for name, tensor in network.state_dict().items() if "num_batches" not in name]
    names = [name for name in _names_in_order() if not name.endswith("num_batches_tracked")]

    graph = script.build(dict(zip(names, theirs, strict=False)))

    for layer, expected in zip(
        run(graph.SerializeToString(), images()), [f.numpy() for f in network(images())], strict=True
    ):
        np.testing.assert_allclose(layer, expected, atol=1e-4 * np.abs(expected).max())


def _names_in_order() -> list[str]:
    """Names of the parameters up to stage 7 in the published file, in its order."""
    parts = ("weight", "bias", "running_mean", "running_var")
    names = ["_conv_stem.weight", *(f"_bn0.{part}" for part in parts)]
    for block in range(16):
        layers = [("_expand_conv", "_bn0")] if block else []
        for layer, norm in [*layers, ("_depthwise_conv", "_bn1"), ("_project_conv", "_bn2")]:
            names += [
                f"_blocks.{block}.{layer}.weight",
                *(f"_blocks.{block}.{norm}.{part}" for part in parts),
            ]
    return names


@torch.no_grad()
@pytest.mark.parametrize("bands", [1, 2, 4])
def test_other_band_counts_keep_the_response_to_grey(bands):
    grey = images(1)
    found = LightStages(bands, is_pretrained=True)(grey.expand(-1, bands, -1, -1))

    expected = LightStages(3, is_pretrained=True)(grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(found[-1], expected[-1], atol=1e-3, rtol=1e-3)


def test_features_do_not_depend_on_the_window():
    assert is_local(LightStages(3, is_pretrained=True))


def test_the_bundled_weights_replace_random_ones():
    torch.manual_seed(0)
    network = build_layer_network(Architecture(LIGHT_BACKBONE, 3, 4, head="linear", scales=(1, 2)))
    before = network.heads[0].weight.clone()

    report = load_bundled_weights(network, 3)

    expected = LightStages(3, is_pretrained=True).state_dict()
    assert all(torch.equal(network.backbone.state_dict()[name], tensor) for name, tensor in expected.items())
    assert torch.equal(network.heads[0].weight, before)
    assert report.describe() == f"Weights: bundled, {len(expected)} tensors."


@pytest.mark.parametrize(
    ("weights", "backbone", "message"),
    [
        ("imagenet", LIGHT_BACKBONE, "efficientnet_lite0 has the weights of this package"),
        ("file.pth", LIGHT_BACKBONE, "name their network with --backbone"),
        ("bundled", "resnet50", "the weights of resnet50 are not bundled"),
    ],
)
def test_weights_of_another_network_are_refused(weights, backbone, message):
    with pytest.raises(SettingsError, match=message):
        check_weights(weights, backbone)
