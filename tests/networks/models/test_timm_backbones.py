import pytest
import torch

from geoseg.errors import ModelFileError, SettingsError
from geoseg.networks.models.deeplab import Architecture
from geoseg.networks.models.hypercolumns import build_layer_network, freeze_early_stages
from geoseg.networks.models.timm_backbones import SamePadding, load_timm_weights, timm_stages

timm = pytest.importorskip("timm")


def _architecture(name, bands=3, scales=(1,)):
    return Architecture(name, bands, 3, 64, head="linear", scales=scales)


@pytest.mark.parametrize(("name", "strides"), [("resnet18", [2, 4, 8, 16]), ("convnext_atto", [4, 8, 16])])
def test_stages_are_read_up_to_stride_16(name, strides):
    stages = timm_stages(_architecture(name, 5))
    assert [64 // layer.shape[-2] for layer in stages(torch.zeros(1, 5, 64, 96))] == strides
    network = build_layer_network(_architecture(name, 5, (1, 2)))
    with torch.inference_mode():
        assert network(torch.zeros(2, 5, 64, 64)).shape == (2, 3, 64, 64)
    assert 0 < len(freeze_early_stages(network)) < len(list(network.backbone.parameters()))


def test_weights_of_a_file_are_found_by_the_names_of_the_whole_network(tmp_path):
    torch.manual_seed(3)
    whole = timm.create_model("resnet18")
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    architecture = _architecture("resnet18", 4)
    network = build_layer_network(architecture)
    report = load_timm_weights(network, architecture, str(tmp_path / "w.pth"))

    found = network.backbone.network
    assert torch.equal(found.layer3[1].conv2.weight, whole.layer3[1].conv2.weight)
    assert found.conv1.weight.shape[1] == 4
    assert all(name.startswith("heads.") for name in report.missing)


@pytest.mark.parametrize("seed", [0, 1])
def test_weights_that_equal_a_random_start_count_as_loaded(tmp_path, seed):
    """People seed with 0 too: what they save then is what an untrained network starts with."""
    torch.manual_seed(seed)
    torch.save(timm.create_model("resnet18").state_dict(), tmp_path / "w.pth")
    architecture = _architecture("resnet18")
    report = load_timm_weights(build_layer_network(architecture), architecture, str(tmp_path / "w.pth"))
    assert all(name.startswith("heads.") for name in report.missing)


def test_weights_that_are_partly_there_are_reported(tmp_path):
    torch.manual_seed(3)
    state = timm.create_model("resnet18").state_dict()
    torch.save({n: t for n, t in state.items() if not n.startswith("layer3.")}, tmp_path / "w.pth")
    architecture = _architecture("resnet18")
    network = build_layer_network(architecture)
    report = load_timm_weights(network, architecture, str(tmp_path / "w.pth"))
    missing = {name for name in report.missing if name.startswith("backbone.")}
    assert missing
    assert all(".layer3." in name for name in missing)


@pytest.mark.parametrize("content", [{"a.weight": torch.zeros(3)}, None])
def test_weights_of_another_network_are_refused(tmp_path, content):
    path = tmp_path / "w.pth"
    if content is None:
        path.write_bytes(b"no tensors at all")
    else:
        torch.save(content, path)
    architecture = _architecture("resnet18")
    with pytest.raises(ModelFileError, match=r"w\.pth: (no tensor in )?these weights"):
        load_timm_weights(build_layer_network(architecture), architecture, str(path))
    with pytest.raises(ModelFileError, match="no such weights file"):
        load_timm_weights(build_layer_network(architecture), architecture, str(tmp_path / "none.pth"))


def test_weights_that_are_not_numbers_are_refused(tmp_path):
    state = timm.create_model("resnet18").state_dict()
    state["layer1.0.conv1.weight"][0] = torch.nan
    torch.save(state, tmp_path / "w.pth")
    architecture = _architecture("resnet18")
    with pytest.raises(ModelFileError, match="infinite or NaN"):
        load_timm_weights(build_layer_network(architecture), architecture, str(tmp_path / "w.pth"))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("regnety_002", "would depend on the window size"),  # squeeze-and-excitation
        ("convnextv2_atto", "would depend on the window size"),  # global response normalisation
        ("resnet50_gn", "would depend on the window size"),
        ("resnetv2_50d_evos", "would depend on the window size"),
        ("resnetv2_50d_frn", "would depend on the window size"),
        ("vit_tiny_patch16_224", "does not accept windows of every size"),
        ("resnet_18", "there is no such backbone; expected resnet50, .*such as"),
    ],
)
def test_networks_that_cannot_map_windows_are_refused(name, why):
    with pytest.raises(SettingsError, match=why):
        timm_stages(_architecture(name))


def test_without_timm_its_name_is_told(monkeypatch):
    from geoseg.networks.models import timm_backbones as module

    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match=r"timm, which is not installed.*pip install"):
        timm_stages(_architecture("resnet18"))


def test_same_padding_gives_what_timm_gives_where_sides_are_multiples_of_the_stride():
    for kernel, stride, dilation in [
        (3, 2, 1),
        (5, 2, 1),
        (3, 1, 2),
        ((3, 5), (2, 1), 1),
        (1, 2, 1),
        (4, 1, 1),
    ]:
        torch.manual_seed(0)
        theirs = timm.layers.Conv2dSame(4, 6, kernel, stride=stride, dilation=dilation, groups=2)
        images = torch.randn(1, 4, 32, 64)
        assert torch.equal(SamePadding(theirs)(images), theirs(images))
