"""Every backend gives the map that torch gives in float32."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import rasterio
import torch

from geoseg.errors import ModelFileError, SettingsError
from geoseg.inference.runtimes import RuntimePredictor, openvino_runtime
from geoseg.learning.architecture import LIGHT_BACKBONE, Architecture
from geoseg.networks.models.hypercolumns import build_layer_network
from geoseg.networks.models.light_stages import load_bundled_weights
from geoseg.networks.models.model_file import read_model
from geoseg.networks.prediction import backends, exporting
from geoseg.networks.prediction.backends import (
    build_predictor,
    check_int8,
    fastest_backend,
    installed_backends,
)
from geoseg.networks.prediction.exporting import export_onnx, to_openvino

# Building the model for every runtime takes a minute.
pytestmark = pytest.mark.slow

# The logits of the tuned model differ by dozens: rounding in the last digit moves a probability near 1/2 by thousandths.
STEEP = 1e-2


@pytest.fixture(scope="session")
def small_model(model):
    return read_model(model)


@pytest.fixture(scope="session")
def pixels(dataset):
    """Two images of 192 x 256 px made of what the model was trained on."""
    images = []
    for name in ("east", "west"):
        with rasterio.open(dataset / "images" / f"{name}.tif") as source:
            images.append(np.tile(source.read(), (1, 2, 3))[:, :, :256])
    return np.stack(images).astype(np.float32)


@pytest.fixture(scope="session")
def predictors(small_model):
    """The model on every backend; made once and exported once for each, because that takes seconds."""
    pairs = [("torch", "float32"), ("torch", "bf16"), ("onnx", "float32")]
    built = {
        (backend, precision): build_predictor(small_model, backend, device="cpu", precision=precision)
        for backend, precision in pairs
    }
    graph = to_openvino(small_model)
    for precision in ("float32", "bf16"):
        compute = openvino_runtime(graph, precision, threads=1)
        record = small_model.record
        built["openvino", precision] = RuntimePredictor(
            compute, record.normalisation.apply, len(record.legend)
        )
    return built


# What is asked of a trained model in bf16 is 99.5 %; this one had one epoch and is less sure of itself.
@pytest.mark.parametrize(
    ("backend", "precision", "agreement"),
    [
        ("onnx", "float32", 0.999),
        ("openvino", "float32", 0.999),
        ("torch", "bf16", 0.97),
        ("openvino", "bf16", 0.97),
    ],
)
def test_a_backend_agrees_with_torch_in_float32(predictors, pixels, backend, precision, agreement):
    valid = np.ones((2, 192, 256), bool)
    valid[:, :20, :30] = False
    expected = predictors["torch", "float32"].probabilities(pixels, valid)
    found = predictors[backend, precision].probabilities(pixels, valid)
    assert found.shape == expected.shape == (2, 3, 192, 256)
    assert found.dtype == np.float32
    assert predictors[backend, precision].classes == 3
    assert (found.argmax(1) == expected.argmax(1)).mean() >= agreement
    if precision == "float32":
        np.testing.assert_allclose(found, expected, atol=STEEP)


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_windows_of_any_size_and_number_go_through_one_predictor(predictors, pixels, backend):
    predictor, exact = predictors[backend, "float32"], predictors["torch", "float32"]
    earlier = None
    for count, height, width in [(1, 64, 96), (2, 128, 64), (1, 192, 256), (1, 64, 96)]:
        part = np.ascontiguousarray(pixels[:count, :, :height, :width])
        valid = np.ones((count, height, width), bool)
        found = predictor.probabilities(part, valid)
        np.testing.assert_allclose(found, exact.probabilities(part, valid), atol=STEEP)
        if earlier is not None:
            # An answer is not written over by the next one.
            np.testing.assert_array_equal(earlier[0], earlier[1])
        earlier = (found, found.copy())


def test_the_exported_graph_takes_any_number_of_tiles_of_its_size(small_model, tiny_network):
    import onnxruntime

    tiny = replace(small_model, network=tiny_network(3, 3))
    session = onnxruntime.InferenceSession(export_onnx(tiny, tile_px=64), providers=["CPUExecutionProvider"])
    (taken,), (given,) = session.get_inputs(), session.get_outputs()
    assert (taken.name, taken.shape[1:]) == ("images", [3, 64, 64])
    assert isinstance(taken.shape[0], str)
    assert given.name == "probabilities"
    for count in (1, 3):
        (found,) = session.run(None, {"images": np.zeros((count, 3, 64, 64), np.float32)})
        assert found.shape == (count, 3, 64, 64)
        np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)


def test_the_fastest_is_chosen_by_measuring_and_says_what_was_measured(small_model, tiny_network):
    tiny = replace(small_model, network=tiny_network(3, 3))
    backend, predictor, note = fastest_backend(tiny, device="cpu", precision="float32", side_px=64)
    assert installed_backends(tiny, "cpu") == ["torch", "onnx", "openvino"]
    assert note.startswith(f"backend {backend}: a window takes torch ")
    assert all(f"{name} " in note for name in ("torch", "onnx", "openvino"))
    assert predictor.classes == 3


def test_what_a_backend_cannot_do_is_said(small_model, monkeypatch):
    with pytest.raises(SettingsError, match="ONNX Runtime computes in float32"):
        build_predictor(small_model, "onnx", device="cpu", precision="bf16")
    with pytest.raises(SettingsError, match="on the CPU only"):
        build_predictor(small_model, "openvino", device="cuda", precision="float32")
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "openvino" else object())
    with pytest.raises(
        SettingsError, match=r"openvino is not installed; expected torch, onnx;.*\[openvino\]"
    ):
        build_predictor(small_model, "openvino", device="cpu", precision="float32")
    monkeypatch.setattr(exporting, "find_spec", lambda name: None)
    with pytest.raises(
        SettingsError, match=r"the packages for the ONNX export are not installed.*onnx.*\[onnx\]"
    ):
        export_onnx(small_model)


def test_a_forest_is_not_exported(small_model):
    architecture = replace(small_model.record.architecture, head="forest")
    forest = replace(small_model, record=replace(small_model.record, architecture=architecture))
    assert installed_backends(forest, "cpu") == ["torch"]
    with pytest.raises(ModelFileError, match="a random forest is no network"):
        export_onnx(forest)


def test_int8_is_for_networks_on_the_cpu_with_onnx_or_openvino(small_model, monkeypatch):
    for backend in ("auto", "onnx", "openvino"):
        check_int8(small_model, backend, "cpu")
    with pytest.raises(
        SettingsError, match=r"does not support int8; expected onnx, openvino or auto; got torch"
    ):
        check_int8(small_model, "torch", "cpu")
    with pytest.raises(
        SettingsError, match=r"the CPU only; expected cpu; got int8 on cuda. Add --device cpu"
    ):
        check_int8(small_model, "auto", "cuda")
    architecture = replace(small_model.record.architecture, head="forest")
    forest = replace(small_model, record=replace(small_model.record, architecture=architecture))
    with pytest.raises(SettingsError, match=r"random forest .* Leave out --precision int8"):
        check_int8(forest, "auto", "cpu")
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "onnxruntime" else object())
    with pytest.raises(SettingsError, match=r"int8 needs ONNX Runtime; .*no onnxruntime\. .*\[onnx\]"):
        check_int8(small_model, "openvino", "cpu")
    monkeypatch.setattr(backends, "find_spec", lambda name: None if name == "openvino" else object())
    with pytest.raises(SettingsError, match=r"openvino is not installed; expected onnx"):
        check_int8(small_model, "openvino", "cpu")


def test_a_network_whose_padding_depends_on_the_size_is_exported_once_for_all_windows(small_model):
    pytest.importorskip("timm")
    torch.manual_seed(0)
    architecture = Architecture("tf_efficientnet_lite0", 3, 3, 64, head="linear")
    own = replace(small_model, network=build_layer_network(architecture))
    own = replace(own, record=replace(own.record, architecture=architecture))
    predictor, exact = (
        build_predictor(own, name, device="cpu", precision="float32") for name in ("openvino", "torch")
    )
    for count, height, width in [(1, 64, 96), (2, 96, 64)]:
        pixels = np.random.default_rng(0).uniform(0, 255, (count, 3, height, width)).astype(np.float32)
        valid = np.ones((count, height, width), bool)
        np.testing.assert_allclose(
            predictor.probabilities(pixels, valid), exact.probabilities(pixels, valid), atol=3e-3
        )


@pytest.mark.parametrize("backend", ["onnx", "openvino"])
def test_the_bundled_backbone_with_texture_goes_everywhere(small_model, backend):
    """Texture has kernels that are made for the number of bands."""
    torch.manual_seed(0)
    architecture = Architecture(LIGHT_BACKBONE, 3, 3, 64, head="linear", scales=(1, 2), has_texture=True)
    network = build_layer_network(architecture)
    load_bundled_weights(network, 3)
    record = replace(small_model.record, architecture=architecture)
    own = replace(small_model, network=network, record=record)
    predictor, exact = (
        build_predictor(own, name, device="cpu", precision="float32") for name in (backend, "torch")
    )
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 96)).astype(np.float32)
    valid = np.ones((1, 64, 96), bool)

    np.testing.assert_allclose(
        predictor.probabilities(pixels, valid), exact.probabilities(pixels, valid), atol=STEEP
    )
