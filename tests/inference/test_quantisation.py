"""A network in int8 is the same every time, and gives nearly the classes of float32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from geoseg.inference import quantisation
from geoseg.inference.quantisation import class_agreement, measure_ranges, quantise
from geoseg.inference.runtimes import fuse_batch_norms
from geoseg.learning.calibration import Calibration
from geoseg.learning.model_file import Model, ModelRecord
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.models.deeplab import Architecture
from geoseg.networks.prediction.exporting import to_inference_graph
from geoseg.workflows.mapping.backends import build_int8_predictor, build_predictor, fastest_int8


class Halves(nn.Module):
    """Doubles a band, cuts off what is below zero, and scores two classes by it and by its negative."""

    def __init__(self):
        super().__init__()
        self.first, self.last = nn.Conv2d(1, 1, 1, bias=False), nn.Conv2d(1, 2, 1)
        with torch.no_grad():
            self.first.weight.fill_(2)
            self.last.weight.copy_(torch.tensor([1.0, -1.0])[:, None, None, None])
            self.last.bias.copy_(torch.tensor([-1.0, 1.0]))

    def forward(self, images):
        return self.last(self.first(images).relu())


def a_model(network, classes, bands):
    normal = Normalisation((10.0,) * bands, (2.0,) * bands)
    architecture = Architecture("mobilenet_v3_large", bands, len(classes), 64, 16)
    chosen = tuple(range(1, bands + 1))
    record = ModelRecord("pfce", architecture, classes, chosen, "uint8", normal, 1.0, {}, Calibration(), 32)
    return Model(to_inference_graph(network, bands), record)


@pytest.fixture(scope="module")
def halves(classes):
    model = a_model(Halves(), classes, 1)
    return model, model.onnx


def window(values, valid=None):
    pixels = np.zeros((1, 32, 32), np.float32) + 10
    pixels[0, 0, : len(values)] = values
    return pixels, np.ones((32, 32), bool) if valid is None else valid


def images(model, windows):
    normalise = model.record.normalisation.apply
    return [normalise(pixels[None], valid[None]) for pixels, valid in windows]


def test_ranges_are_over_all_windows_and_leave_out_pixels_that_are_not_valid(halves):
    model, network = halves
    hidden = np.ones((32, 32), bool)
    hidden[0, 1] = False
    ranges = measure_ranges(network, images(model, [window([6, 14]), window([18, 200], hidden)]))
    # (6 - 10) / 2 = -2 and (18 - 10) / 2 = 4; doubled -4 and 8; from 0 on after the ReLU.
    # The scores reach from 1 - 8 to 8 - 1.
    assert {(low, high) for _, low, high in ranges} == {(-2.0, 4.0), (-4.0, 8.0), (0.0, 8.0), (-7.0, 7.0)}
    assert ranges == tuple(sorted(ranges))


def test_the_same_ranges_give_the_same_network_with_a_float32_classifier_and_7_bits(halves):
    model, network = halves
    ranges = measure_ranges(network, images(model, [window([6, 18])]))
    made = quantise(network, ranges)
    assert quantise(network, ranges) == made
    assert quantise(network, tuple((name, low, high + 1) for name, low, high in ranges)) != made
    # Nor does it tell where it was made: other machines make the same.
    assert str(Path(quantisation.__file__).parents[2]).encode() not in network + made
    graph = onnx.load_from_string(made).graph
    weights = {w.name: onnx.numpy_helper.to_array(w) for w in graph.initializer}
    _, last = (node for node in graph.node if node.op_type == "Conv")
    assert weights[last.input[1]].dtype == np.float32
    (doubled,) = (w for w in weights.values() if w.dtype == np.int8 and w.ndim == 4)
    assert abs(int(doubled.item())) <= 64


def test_a_convolution_on_a_shortcut_stays_float32():
    # Where a block's input is added to its output through a convolution, as where a ResNet's stages begin.
    make, rng = onnx.helper.make_node, np.random.default_rng(0)
    nodes = [
        make("Conv", ["images", "w0"], ["a"], name="first"),
        make("Relu", ["a"], ["b"], name="relu"),
        make("Conv", ["b", "w1"], ["g"], name="inner"),
        make("Conv", ["g", "w4"], ["c"], name="branch"),
        make("Conv", ["b", "w2"], ["d"], name="shortcut"),
        make("Add", ["c", "d"], ["e"], name="sum"),
        make("Conv", ["e", "w3"], ["f"], name="scores"),
    ]
    weights = [
        onnx.numpy_helper.from_array(rng.normal(size=(2, 2, 1, 1)).astype(np.float32), f"w{n}")
        for n in range(5)
    ]
    ends = [
        onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 2, 8, 8]) for n in ("images", "f")
    ]
    graph = onnx.helper.make_graph(nodes, "block", ends[:1], ends[1:], weights)
    network = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 18)], ir_version=10)
    ranges = tuple((name, -1.0, 1.0) for name in ("a", "b", "c", "d", "e", "f", "g", "images"))
    made = onnx.load_from_string(quantise(network.SerializeToString(), ranges)).graph
    whole = {w.name for w in made.initializer if w.data_type == onnx.TensorProto.FLOAT}
    assert {n.name for n in made.node if n.op_type == "Conv" and n.input[1] in whole} == {
        "shortcut",
        "scores",
    }


def test_the_share_of_same_classes_is_of_valid_pixels():
    class Says:
        classes = 2

        def __init__(self, at):
            self.at = at

        def probabilities(self, pixels, valid):
            return np.stack([pixels[:, 0] < self.at, pixels[:, 0] >= self.at], axis=1).astype(np.float32)

    valid = np.zeros((32, 32), bool)
    valid[0, :4] = True
    # Of 11, 12, 13 and 14 only 12 lies between the two.
    assert class_agreement(Says(11.5), Says(12.5), [window([11, 12, 13, 14, 12, 12], valid)]) == 0.75


def test_both_runtimes_give_the_classes_of_float32(tiny_network, classes):
    model = a_model(tiny_network(3, 3), classes, 3)
    blocks = np.random.default_rng(0).normal(10, 4, (4, 3, 8, 8)).repeat(8, 2).repeat(8, 3)
    windows = [(pixels, np.ones((64, 64), bool)) for pixels in blocks.astype(np.float32)]
    network = fuse_batch_norms(model.onnx)
    made = quantise(network, measure_ranges(network, images(model, windows[:2])))
    exact = build_predictor(model, "onnx", device="cpu", precision="float32")
    for backend in ("onnx", "openvino"):
        found = build_int8_predictor(model, backend, made)
        assert class_agreement(exact, found, windows[2:]) >= 0.97
    name, fastest, note = fastest_int8(model, made, side_px=64)
    assert note.startswith(f"backend {name}: a window takes onnx ")
    assert ", openvino " in note
    assert fastest.classes == 3
