import numpy as np
import torch

from geoseg.domain.points import make_points
from geoseg.learning.features.extractors import read_at_points
from geoseg.learning.features.patches import BatchPoints
from geoseg.learning.features.reading import FitData, Reader
from geoseg.learning.normalisation import Normalisation
from geoseg.networks.features.extractors import TorchExtractor, digest, read_logits


def test_logits_are_those_of_evaluation(tiny_network, source):
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 64, 64)).astype(np.float32)
    data = FitData(
        {"a": source(pixels)}, make_points("a", [], [], []), Normalisation((9.0,) * 3, (9.0,) * 3), 2
    )
    network, points = tiny_network().train(), make_points("a", [5.0], [9.0], [1])
    one, other = (read_logits(network, points, data, reader=Reader(64)) for _ in range(2))
    assert np.array_equal(one.values, other.values)
    assert not network.training


def test_layers_are_read_as_arrays_are():
    """One function reads tensors for the loss, the other arrays for heads; both read bilinearly up to the edge."""
    rng = np.random.default_rng(0)
    layers = [rng.normal(size=(2, f, 8, 12)).astype(np.float32) for f in (3, 5)]
    row, col = rng.uniform(-0.5, 31.5, 50), rng.uniform(-0.5, 47.5, 50)
    at = BatchPoints(rng.integers(2, size=50), row, col, np.zeros(50, np.int64), np.ones(50, np.float32))
    extract = TorchExtractor(lambda images: [torch.from_numpy(layer) for layer in layers])

    found = extract(np.zeros((2, 3, 32, 48), np.float32), at)

    expected = np.concatenate([read_at_points(layer, at, (32, 48)) for layer in layers], axis=1)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_digest_changes_with_weights_and_names():
    torch.manual_seed(0)
    one, other = torch.nn.Conv2d(3, 2, 1), torch.nn.Conv2d(3, 2, 1)
    assert digest(one) == digest(one)
    assert len({digest(one), digest(other), digest(one, "bands 3, 2, 1")}) == 3
