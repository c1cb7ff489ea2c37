"""Heads on bands as inference graphs, pixel by pixel, on numbers that are worked by hand."""

import numpy as np

from geoseg.inference.graphs.bands import (
    Neighbours,
    linear_band_graph,
    neighbour_band_graph,
    perceptron_band_graph,
)
from geoseg.inference.runtimes import onnx_runtime


def run(graph, pixels):
    """Return the logits (Q, C) of pixels (Q, B), which lie in one row of an image."""
    images = np.array(pixels, np.float32).T[None, :, None, :]
    return onnx_runtime(graph, 1)(images)[0, :, 0].T


def test_a_linear_head_weighs_the_bands_of_each_pixel():
    weight, bias = np.array([[1, 0], [2, -1]], np.float32), np.array([0, 0.5], np.float32)
    assert run(linear_band_graph(weight, bias), [[1, 2], [3, 0]]).tolist() == [[1, 0.5], [3, 6.5]]


def test_a_perceptron_cuts_its_hidden_layer_at_zero():
    hidden = np.array([[1, -1], [-1, 1]], np.float32), np.zeros(2, np.float32)
    last = np.array([[1, 1], [0, 2]], np.float32), np.array([0, 1], np.float32)
    # |a - b|, and 1 + 2 max(b - a, 0)
    assert run(perceptron_band_graph([hidden, last]), [[3, 1], [1, 3]]).tolist() == [[2, 1], [2, 5]]


def test_the_nearest_by_angle_vote_whatever_their_length():
    """Of three vectors at 0, 90 and 180 degrees two vote, by (1 + cosine) / 2 of their angle."""
    vectors = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    votes = np.array([[1, 0], [0, 1], [0, 1]], np.float32)
    graph = neighbour_band_graph(Neighbours(vectors, votes, 2))

    found = np.exp(run(graph, [[10, 0], [0.1, 0.1], [0, 0]]))

    # At 0 degrees the votes are 1 and 0.5: shares of 2/3 and 1/3, times k = 2, and half a vote for each class.
    np.testing.assert_allclose(found[0], [(4 / 3 + 0.5) / 3, (2 / 3 + 0.5) / 3], rtol=1e-5)
    np.testing.assert_allclose(found[1], [0.5, 0.5], rtol=1e-5)
    assert np.isfinite(found).all()
