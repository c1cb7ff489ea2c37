"""Classifiers of the bands themselves as inference graphs: pixel by pixel, without context."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES, GraphBuilder
from geoseg.inference.graphs.trees import Tree, add_trees

MIN_NORM = 1e-12
"""Vectors shorter than this count as this long."""
PSEUDO_VOTES = 0.5
"""Votes that each class gets in addition, so that logarithms are finite (Krichevsky and Trofimov, 1981)."""


@dataclass(frozen=True)
class Neighbours:
    """Reference vectors for the votes of nearest neighbours.

    Attributes:
        vectors: Vectors of length 1 (P, B).
        votes: Weight of each vector in the column of its class (P, C).
        count: k, the number of neighbours that vote; at most P.
    """

    vectors: NDArray[np.float32]
    votes: NDArray[np.float32]
    count: int


def identity_graph(channels: int) -> bytes:
    """Return a graph from images (N, B, H, W) to one output, ``bands``: the images."""
    return GraphBuilder().build({"bands": IMAGES}, channels=channels)


def linear_band_graph(weight: NDArray[np.float32], bias: NDArray[np.float32]) -> bytes:
    """Return a graph from images (N, B, H, W) to logits (N, C, H, W): a linear classifier of each pixel.

    Args:
        weight: (C, B).
        bias: (C,).
    """
    builder = GraphBuilder()
    logits = _add_dense(builder, IMAGES, weight=weight, bias=bias, name="head")
    return builder.build({"logits": logits}, channels=weight.shape[1])


def perceptron_band_graph(
    layers: Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]],
) -> bytes:
    """Return a graph of dense layers with ReLU between them, applied to each pixel.

    Args:
        layers: Weight (out, in) and bias (out,) of each layer, the first one from B channels.
    """
    builder, maps = GraphBuilder(), IMAGES
    for n, (weight, bias) in enumerate(layers):
        maps = _add_dense(builder, maps, weight=weight, bias=bias, name=f"layers.{n}")
        if n < len(layers) - 1:
            maps = builder.add("Relu", maps)
    return builder.build({"logits": maps}, channels=layers[0][0].shape[1])


def forest_band_graph(trees: Sequence[Tree], channels: int) -> bytes:
    """Return a graph from images (N, B, H, W) to the logarithms of mean class proportions (N, C, H, W)."""
    builder = GraphBuilder()
    return builder.build({"logits": add_trees(builder, IMAGES, trees, features=channels)}, channels=channels)


def neighbour_band_graph(neighbours: Neighbours) -> bytes:
    """Return a graph from images (N, B, H, W) to the logarithms of the neighbours' votes (N, C, H, W).

    The k vectors with the highest cosine similarity s vote with their weight times (1 + s) / 2.
    """
    builder = GraphBuilder()
    channels, (_, classes) = neighbours.vectors.shape[1], neighbours.votes.shape
    cells = builder.add("Transpose", IMAGES, perm=[0, 2, 3, 1])
    rows = builder.add("Reshape", cells, builder.constant([-1, channels], np.int64))
    norm = builder.add("ReduceL2", rows, builder.constant([1], np.int64), keepdims=1)
    unit = builder.add("Div", rows, builder.add("Max", norm, builder.constant(MIN_NORM)))
    vectors = builder.tensor("neighbours.vectors", np.ascontiguousarray(neighbours.vectors.T))
    similarity = builder.add("MatMul", unit, vectors)
    values, nearest = builder.add_top_k(similarity, neighbours.count)
    votes = builder.add("Gather", builder.tensor("neighbours.votes", neighbours.votes), nearest, axis=0)
    half = builder.constant(0.5)
    closeness = builder.add("Add", builder.add("Mul", values, half), half)
    weighted = builder.add("Mul", votes, builder.add("Unsqueeze", closeness, builder.constant([2], np.int64)))
    one = builder.constant([1], np.int64)
    by_class = builder.add("ReduceSum", weighted, one, keepdims=0)
    total = builder.add("ReduceSum", by_class, one, keepdims=1)
    shares = builder.add("Div", by_class, builder.add("Max", total, builder.constant(MIN_NORM)))
    pseudo, k = PSEUDO_VOTES, neighbours.count
    counted = builder.add("Add", builder.add("Mul", shares, builder.constant(k)), builder.constant(pseudo))
    logs = builder.add("Log", builder.add("Div", counted, builder.constant(k + pseudo * classes)))
    maps = builder.add_maps_of_rows(logs, cells, classes)
    return builder.build({"logits": maps}, channels=channels)


def _add_dense(
    builder: GraphBuilder, maps: str, *, weight: NDArray[np.float32], bias: NDArray[np.float32], name: str
) -> str:
    names = (
        builder.tensor(f"{name}.weight", weight[:, :, None, None]),
        builder.tensor(f"{name}.bias", bias),
    )
    return builder.add("Conv", maps, *names, kernel_shape=(1, 1))
