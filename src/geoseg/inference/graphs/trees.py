"""A random forest as an inference graph: on colour and texture, or on any feature maps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES, GraphBuilder
from geoseg.inference.graphs.texture import add_full_texture, count_texture

MIN_PROBABILITY = 1e-3
"""Each class gets at least about this probability, so that logarithms are finite."""


@dataclass(frozen=True)
class Tree:
    """A decision tree of M nodes, parents before children.

    Attributes:
        feature: Feature that a node tests (M,), int64; unused at leaves.
        threshold: The left child is taken if the feature is at most this value (M,), float32.
        left: Left child (M,), int64; -1 at a leaf.
        right: Right child (M,), int64; -1 at a leaf.
        shares: Class proportions of the training points at a node (M, C), float32.
    """

    feature: NDArray[np.int64]
    threshold: NDArray[np.float32]
    left: NDArray[np.int64]
    right: NDArray[np.int64]
    shares: NDArray[np.float32]


def forest_graph(trees: Sequence[Tree], channels: int) -> bytes:
    """Return a graph from images (N, B, H, W) to the logarithms of mean class proportions (N, C, H, W)."""
    builder = GraphBuilder()
    texture = add_full_texture(builder, IMAGES, channels)
    logits = add_trees(builder, texture, trees, features=sum(count_texture(channels)))
    return builder.build({"logits": logits}, channels=channels)


def add_trees(builder: GraphBuilder, maps: str, trees: Sequence[Tree], *, features: int) -> str:
    """Add a forest on maps (N, ``features``, H, W); return the name of its logarithms of shares (N, C, H, W)."""
    classes = trees[0].shares.shape[1]
    cells = builder.add("Transpose", maps, perm=[0, 2, 3, 1])
    rows = builder.add("Reshape", cells, builder.constant([-1, features], np.int64))
    votes = builder.add("TreeEnsembleRegressor", rows, domain="ai.onnx.ml", **_attributes(trees, classes))
    floor = builder.constant(MIN_PROBABILITY)
    kept = builder.add("Mul", votes, builder.constant(1 - classes * MIN_PROBABILITY))
    logs = builder.add("Log", builder.add("Add", kept, floor))
    return builder.add_maps_of_rows(logs, cells, classes)


def _attributes(trees: Sequence[Tree], classes: int) -> dict[str, Any]:
    """Return the attributes of the ONNX operator, with the nodes of all trees in one table."""
    lengths = [len(tree.left) for tree in trees]
    numbers = np.repeat(np.arange(len(trees)), lengths)
    own = np.concatenate([np.arange(length) for length in lengths])
    left, right = (np.concatenate([getattr(tree, name) for tree in trees]) for name in ("left", "right"))
    is_leaf = left < 0
    shares = np.concatenate([tree.shares for tree in trees])[is_leaf]
    leaf, target = np.nonzero(shares)
    return {
        "n_targets": classes,
        "aggregate_function": "AVERAGE",
        "post_transform": "NONE",
        "nodes_treeids": numbers.tolist(),
        "nodes_nodeids": own.tolist(),
        "nodes_featureids": np.where(is_leaf, 0, np.concatenate([tree.feature for tree in trees])).tolist(),
        "nodes_modes": np.where(is_leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(
            is_leaf, np.float32(0), np.concatenate([tree.threshold for tree in trees])
        ).tolist(),
        "nodes_truenodeids": np.where(is_leaf, 0, left).tolist(),
        "nodes_falsenodeids": np.where(is_leaf, 0, right).tolist(),
        "target_treeids": numbers[is_leaf][leaf].tolist(),
        "target_nodeids": own[is_leaf][leaf].tolist(),
        "target_ids": target.tolist(),
        "target_weights": shares[leaf, target].tolist(),
    }
