import numpy as np
import torch

from geoseg.learning.normalisation import Normalisation
from geoseg.networks.features.normalising import normalise


def test_a_tensor_is_normalised_as_an_array_is():
    rng = np.random.default_rng(0)
    pixels = rng.uniform(-1, 255, (2, 3, 5, 7)).astype(np.float32)
    pixels[0, :, 0, 0] = 0  # The sum of an index's bands is 0 here.
    pixels[1, 1, 2, 3] = np.nan
    valid = rng.random((2, 5, 7)) > 0.3
    statistics = Normalisation((120.0, 90.0, 4.5, 0.1), (40.0, 1.0, 1e-3, 0.4), ((2, 0),))
    found = normalise(torch.from_numpy(pixels), torch.from_numpy(valid), statistics)
    expected = statistics.apply(pixels, valid)
    assert expected.shape == (2, 4, 5, 7)
    np.testing.assert_array_equal(found.numpy(), expected)
