import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torchvision import models

from geoseg.errors import ModelFileError, SettingsError
from geoseg.networks.models.deeplab import Architecture, build_network
from geoseg.networks.models.weights import load_weights

BACKBONE = "mobilenet_v3_large"


def _random_state(network, *prefixes):
    """Random values for the tensors of a network whose names begin with one of the prefixes."""
    state = {n: t for n, t in network.state_dict().items() if n.startswith(prefixes)}
    return {n: torch.randn_like(t) if t.is_floating_point() else t for n, t in state.items()}


def test_a_whole_state_dict_loads(network, tmp_path):
    state = _random_state(network(), "")
    torch.save(state, tmp_path / "whole.pth")
    loaded = network()
    report = load_weights(loaded, str(tmp_path / "whole.pth"), BACKBONE)
    assert report.missing == ()
    assert all(torch.equal(t, state[n]) for n, t in loaded.state_dict().items())


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.module.", "module._orig_mod.", "model.backbone."]
)
@pytest.mark.parametrize("wrapper", ["state_dict", "model_state_dict", "model"])
def test_weights_are_found_under_any_usual_name(network, tmp_path, prefix, wrapper):
    torch.save({wrapper: {f"{prefix}0.0.weight": torch.ones(16, 3, 3, 3)}}, tmp_path / "one.pth")
    loaded = network()
    assert load_weights(loaded, str(tmp_path / "one.pth"), BACKBONE).loaded == 1
    assert (loaded.backbone["0"][0].weight == 1).all()


@pytest.mark.parametrize(("backbone", "head"), [("resnet50", 2), ("mobilenet_v3_large", 4)])
def test_a_classification_network_of_torchvision_gives_the_whole_backbone(tmp_path, backbone, head):
    with torch.device("meta"):
        theirs = models.get_model(backbone).state_dict()
    # Tensors of one repeated value take no space in the file.
    ones = {n: torch.ones((), dtype=t.dtype).expand(t.shape) for n, t in theirs.items()}
    torch.save(ones, tmp_path / "classifier.pth")
    network = build_network(Architecture(backbone, 3, 2, 64))
    report = load_weights(network, str(tmp_path / "classifier.pth"), backbone)
    assert all(name.startswith("classifier.") for name in report.missing)
    assert len(report.unused) == head
    assert f"{len(theirs) - head} tensors; {head} not used." in report.describe()


def test_without_weights_everything_starts_at_random(network):
    own = network()
    before = {n: t.clone() for n, t in own.state_dict().items()}
    report = load_weights(own, "none", BACKBONE)
    assert (report.loaded, set(report.missing)) == (0, set(before))
    assert all(torch.equal(t, before[n]) for n, t in own.state_dict().items())


def test_a_part_of_a_backbone_loads_and_the_rest_is_reported(network, tmp_path):
    whole = network()
    state = _random_state(whole, "backbone.0.")
    part = {n.removeprefix("backbone."): t.half() for n, t in state.items()}
    save_file(part, tmp_path / "part.safetensors")
    report = load_weights(whole, str(tmp_path / "part.safetensors"), BACKBONE)
    assert report.loaded == len(part)
    assert "backbone.1.block.0.0.weight" in report.missing
    assert "start at random" in report.describe()
    assert torch.equal(whole.state_dict()["backbone.0.0.weight"], part["0.0.weight"].float())


def test_a_head_for_other_classes_is_left_out_and_reported(network, tmp_path):
    save_file(_random_state(network(classes=21), "backbone.0.", "classifier."), tmp_path / "coco.safetensors")
    report = load_weights(network(classes=4), str(tmp_path / "coco.safetensors"), BACKBONE)
    assert set(report.unused) == {"classifier.4.weight", "classifier.4.bias"}
    assert set(report.unused) < set(report.missing)


def test_pretrained_bands_are_adapted(network, tmp_path):
    state = _random_state(network(), "backbone.0.0.")
    save_file(state, tmp_path / "rgb.safetensors")
    adapted = network(bands=5)
    report = load_weights(adapted, str(tmp_path / "rgb.safetensors"), BACKBONE)
    assert report.unused == ()
    weight = adapted.backbone["0"][0].weight
    torch.testing.assert_close(weight.sum(dim=1), state["backbone.0.0.weight"].sum(dim=1))


def test_overflowed_half_precision_values_become_finite_and_are_reported(network, tmp_path):
    state = {n: t.half() for n, t in _random_state(network(), "backbone.0.").items()}
    state["backbone.0.1.running_var"][0] = float("inf")
    state["backbone.0.1.bias"][:2] = -float("inf")
    save_file(state, tmp_path / "overflow.safetensors")
    loaded = network()
    report = load_weights(loaded, str(tmp_path / "overflow.safetensors"), BACKBONE)
    assert loaded.state_dict()["backbone.0.1.running_var"][0] == 65504
    assert loaded.state_dict()["backbone.0.1.bias"][1] == -65504
    assert report.overflowed == 2
    assert "2 tensors had overflowed values" in report.describe()


@pytest.mark.parametrize(
    ("value", "dtype"),
    [("nan", torch.float32), ("inf", torch.float32), ("-inf", torch.bfloat16), ("nan", torch.float16)],
)
def test_values_that_are_not_numbers_are_refused(network, tmp_path, value, dtype):
    state = _random_state(network(), "backbone.0.0.")
    state["backbone.0.0.weight"] = state["backbone.0.0.weight"].to(dtype)
    state["backbone.0.0.weight"][0] = float(value)
    save_file(state, tmp_path / "nan.safetensors")
    with pytest.raises(ModelFileError, match=r"nan\.safetensors"):
        load_weights(network(), str(tmp_path / "nan.safetensors"), BACKBONE)


class _Hostile:
    def __init__(self, victim):
        self.victim = victim

    def __reduce__(self):
        return Path.touch, (self.victim,)


@pytest.mark.parametrize("write", [torch.save, lambda o, p: p.write_bytes(pickle.dumps(o))])
def test_a_pickle_with_code_is_refused_and_not_run(network, tmp_path, write):
    victim, path = tmp_path / "victim", tmp_path / "hostile.pth"
    write({"state_dict": _Hostile(victim)}, path)
    with pytest.raises(ModelFileError, match=r"hostile\.pth"):
        load_weights(network(), str(path), BACKBONE)
    assert not victim.exists()


@pytest.mark.parametrize("name", ["damaged.safetensors", "damaged.pth"])
def test_a_damaged_file_is_named(network, tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\x03\x04 not weights")
    with pytest.raises(ModelFileError, match=name):
        load_weights(network(), str(tmp_path / name), BACKBONE)


def test_weights_of_another_network_are_refused(network, tmp_path):
    save_file({"encoder.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(ModelFileError, match="fits"):
        load_weights(network(), str(tmp_path / "other.safetensors"), BACKBONE)


def test_without_a_network_the_choices_are_named(network, tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with pytest.raises(SettingsError, match=r'"imagenet", "coco", "none"'):
        load_weights(network(), "imagenet", BACKBONE)


def test_a_name_that_is_neither_a_choice_nor_a_file_is_refused(network):
    with pytest.raises(ModelFileError, match="imagent"):
        load_weights(network(), "imagent", BACKBONE)
