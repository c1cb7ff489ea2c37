import numpy as np
import torch

from geoseg.domain.legend import legend_from_names
from geoseg.learning.model_file import InferenceGraph, Model, ModelRecord
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.models.deeplab import Architecture
from geoseg.networks.prediction.torch_predictor import TorchPredictor


def _predictor(network, precision="float32"):
    architecture = Architecture("mobilenet_v3_large", 3, 2, 64, 16)
    normal = Normalisation((100.0,) * 3, (50.0,) * 3)
    legend = legend_from_names(["a", "b"])
    tensors = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    record = ModelRecord("pfce", architecture, legend, (1, 2, 3), "uint8", normal, None, {})
    return TorchPredictor(Model(InferenceGraph(b"", tensors), record), "cpu", precision)


def test_probabilities_have_the_size_of_the_pixels_and_sum_to_one(network):
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 3, 64, 96)).astype(np.float32)
    probabilities = _predictor(network()).probabilities(pixels, np.ones((2, 64, 96), bool))
    assert probabilities.shape == (2, 2, 64, 96)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


def test_what_stands_in_invalid_pixels_does_not_matter(network):
    predictor = _predictor(network())
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, 64, 64)).astype(np.float32)
    valid = np.ones((1, 64, 64), bool)
    valid[:, :20] = False
    other = np.where(valid[:, None], pixels, np.float32(-9999))
    assert np.array_equal(predictor.probabilities(pixels, valid), predictor.probabilities(other, valid))


def test_the_network_gets_normalised_pixels(network):
    model = network().eval()
    pixels = np.full((1, 3, 64, 64), 150, np.float32)
    with torch.inference_mode():
        expected = model(torch.ones(1, 3, 64, 64)).softmax(1)[0, :, 2, 2]
    found = _predictor(model).probabilities(pixels, np.ones((1, 64, 64), bool))
    np.testing.assert_allclose(found[0, :, 39:41, 39:41].mean((1, 2)), expected.numpy(), atol=1e-4)
