"""The forest recipe: a random forest on colour and texture, the classical baseline.

Breiman, "Random forests", Machine Learning 45 (2001). The trees are stored as tensors, so the model file of a forest
needs no pickle.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from geoseg.domain.blocks import Blocks, find_blocks
from geoseg.domain.ports import Progress
from geoseg.errors import TrainingError
from geoseg.learning.calibration import HeldOut, cross_entropy
from geoseg.learning.validation import Floats, Sample, predict_held_out, spatial_folds
from geoseg.networks.features.point_features import (
    FitData,
    Reader,
    read_labelled_and_unlabelled,
    sort_by_cell,
    subsample_points,
)
from geoseg.networks.features.texture import feature_count, texture

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree

TREES = 200
MIN_SAMPLES_LEAF = 3
_MIN_PROBABILITY = 1e-3


@dataclass(frozen=True)
class Trees:
    """The trees of a forest: M nodes in one table, parents before children.

    Attributes:
        roots: Root node of each tree (T,), int64.
        feature: Feature that a node tests (M,), int64; 0 at leaves.
        threshold: The left child is taken if the feature is at most this value (M,), float32.
        left: Left child (M,), int64; at a leaf, the index of the leaf.
        right: Right child (M,), int64; at a leaf, the index of the leaf.
        shares: Class proportions of the training points at a node (M, C), float32.
    """

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    shares: Tensor


class ForestNetwork(nn.Module):
    """A random forest on colour and texture features; the trees are always evaluated on the CPU.

    Args:
        trees: The forest.
        bands: B.

    Raises:
        ValueError: The nodes do not form trees, or test a feature that does not exist.
    """

    def __init__(self, trees: Trees, bands: int) -> None:
        super().__init__()
        count = feature_count(bands)
        _check(trees, count)
        for name, tensor in vars(trees).items():
            self.register_buffer(name, tensor)
        bounds = [*trees.roots.tolist(), len(trees.left)]
        self._trees = [_rebuild(trees, range(*bound), features=count) for bound in pairwise(bounds)]

    def forward(self, images: Tensor) -> Tensor:
        """Return log probabilities (N, C, H, W) of images (N, B, H, W), in float32."""
        values = texture(images).movedim(1, -1)
        votes = self.vote(values.flatten(0, 2).cpu().numpy())
        logs = torch.from_numpy(np.log(votes)).to(images.device)
        return logs.view(*values.shape[:3], -1).movedim(-1, 1)

    def vote(self, values: Floats) -> Floats:
        """Return mean class probabilities (P, C) of features (P, F), float32, all above 0."""
        values = np.ascontiguousarray(values, np.float32)
        if not len(values):
            return np.zeros((0, self.get_buffer("shares").shape[1]), np.float32)
        # The trees release the GIL.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            total = sum(pool.map(lambda tree: tree.predict(values), self._trees))
        mean: Floats = np.asarray(total, np.float32).reshape(len(values), -1) / len(self._trees)
        votes: Floats = mean * (1 - mean.shape[1] * _MIN_PROBABILITY) + _MIN_PROBABILITY
        return votes


def _rebuild(trees: Trees, numbers: range, *, features: int) -> Tree:
    """Build a scikit-learn tree from a range of nodes; it evaluates them fast."""
    from sklearn.tree._tree import NODE_DTYPE, Tree

    own, count = slice(numbers.start, numbers.stop), len(numbers)
    left, right = (side[own].numpy() - numbers.start for side in (trees.left, trees.right))
    is_leaf = left == np.arange(count)
    nodes = np.zeros(count, NODE_DTYPE)
    nodes["left_child"] = np.where(is_leaf, -1, left)
    nodes["right_child"] = np.where(is_leaf, -1, right)
    nodes["feature"] = trees.feature[own].numpy()
    nodes["threshold"] = trees.threshold[own].numpy()
    classes = trees.shares.shape[1]
    tree = Tree(features, np.array([classes], np.intp), 1)
    state = {
        "max_depth": count,
        "node_count": count,
        "nodes": nodes,
        "values": trees.shares[own].double().numpy()[:, None, :].copy(),
    }
    tree.__setstate__(state)
    return tree


def _check(trees: Trees, features: int) -> None:
    """Check that children follow their parents within the same tree, so that every traversal ends at a leaf."""
    count = len(trees.left)
    if trees.shares.ndim != 2 or any(column.ndim != 1 for column in list(vars(trees).values())[:-1]):
        raise ValueError("these nodes do not form trees")
    lengths = {len(column) for column in (trees.feature, trees.threshold, trees.right, trees.shares)}
    roots = trees.roots
    if lengths != {count} or not len(roots) or roots[0] != 0 or not bool((roots.diff() > 0).all()):
        raise ValueError("these nodes do not form trees")
    own = torch.arange(count)
    end = torch.cat([roots[1:], roots.new_tensor([count])])
    if bool((roots >= count).any()):
        raise ValueError("these nodes do not form trees")
    end = end.repeat_interleave(torch.diff(roots, append=roots.new_tensor([count])))
    leaf = (trees.left == own) & (trees.right == own)
    inner = (trees.left > own) & (trees.right > own) & (trees.left < end) & (trees.right < end)
    is_known = (trees.feature >= 0) & (trees.feature < features)
    if not bool((leaf | inner).all() and is_known.all()):
        raise ValueError("these nodes do not form trees")


def trees_from_state(state: Mapping[str, Tensor]) -> Trees:
    """Return the trees in a network's state.

    Raises:
        ValueError: The state holds no forest.
    """
    names = list(Trees.__dataclass_fields__)
    if set(names) != set(state):
        raise ValueError("this state dict holds no forest")
    return Trees(*(state[name] for name in names))


@dataclass(frozen=True)
class ForestFit:
    """A fitted forest, its logits at held-out points and at unlabelled pixels (U, C), and its training loss."""

    network: ForestNetwork
    held_out: HeldOut | None
    blocks: Blocks
    unlabelled: Floats
    loss: float


def fit_forest(data: FitData, reader: Reader, *, seed: int, progress: Progress) -> ForestFit:
    """Fit a forest of 200 trees, with at least 3 points per leaf, to colour and texture at the points.

    Args:
        data: Rasters and points; all points are used.
        reader: How to read the rasters; a margin of 24 px or more keeps border effects out of the blurs.
        seed: Seed of the trees, of the unlabelled pixels and of the folds.
        progress: Progress of the reading.

    Raises:
        TrainingError: The points have fewer than two classes, or no tree can separate the classes.
    """
    labelled, unlabelled = read_labelled_and_unlabelled(
        lambda images: [texture(images)], data, reader=reader, seed=seed, progress=progress
    )
    blocks = find_blocks(sort_by_cell(subsample_points(data.points), reader.patch_px), reader.patch_px)
    sample, channels = labelled.to_sample(blocks.numbers), data.normalisation.channels

    def fit_and_score(_: int, fitted: Sample, values: Floats) -> Floats:
        return _logits(ForestNetwork(_fit(fitted, data.classes, seed), channels), values)

    folds = spatial_folds(sample.labels, sample.places, seed=seed)
    trees = _fit(sample, data.classes, seed)
    if len(trees.left) == len(trees.roots):
        raise _indistinct_classes_error(sample)
    if len(sample.labels) < sample.values.shape[1]:
        progress.warn(
            f"The forest has {len(sample.labels)} points for {sample.values.shape[1]} features: too few to tell which "
            "features matter. Add points, at least 10 of each class, or use the recipe quick."
        )
    network = ForestNetwork(trees, channels)
    held_out = None if folds is None else predict_held_out(sample, folds, fit_and_score)
    own = HeldOut(_logits(network, sample.values), sample.labels, sample.weights)
    return ForestFit(
        network, held_out, blocks, _logits(network, unlabelled.values.numpy()), cross_entropy(own)
    )


def _indistinct_classes_error(sample: Sample) -> TrainingError:
    classes, counts = np.unique(sample.labels, return_counts=True)
    if counts.min() >= MIN_SAMPLES_LEAF and len(classes) > 1:
        return TrainingError(
            "no tree can tell the classes apart, and the map would have one class",
            expected="pixels that differ between the points of different classes",
            got="the same values at all points"
            if np.ptp(sample.values, axis=0).max() == 0
            else "pixels that are alike",
            hint="Check the raster and its bands (geoseg info), and the positions of the points.",
        )
    return TrainingError(
        "the points are too few for a random forest: no tree can tell the classes apart, and the map would have one class",
        expected=f"at least {2 * MIN_SAMPLES_LEAF} points, and {MIN_SAMPLES_LEAF} or more of each class",
        got=f"{len(sample.labels)} points of {len(classes)} classes",
        hint="Add points, at least 10 of each class, or use the recipe quick.",
    )


def _logits(network: ForestNetwork, values: Floats) -> Floats:
    votes: Floats = np.log(network.vote(values))
    return votes


def _fit(sample: Sample, classes: int, seed: int) -> Trees:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(TREES, min_samples_leaf=MIN_SAMPLES_LEAF, n_jobs=-1, random_state=seed)
    forest.fit(sample.values, sample.labels, sample.weights)
    roots, columns, first = [], [], 0
    for estimator in forest.estimators_:
        tree = estimator.tree_
        own = np.arange(tree.node_count)
        leaf = tree.children_left < 0
        shares = np.zeros((tree.node_count, classes), np.float32)
        votes = tree.value[:, 0, :]
        shares[:, forest.classes_] = votes / votes.sum(axis=1, keepdims=True)
        columns.append(
            (
                np.where(leaf, 0, tree.feature),
                _round_down(tree.threshold),
                first + np.where(leaf, own, tree.children_left),
                first + np.where(leaf, own, tree.children_right),
                shares,
            )
        )
        roots.append(first)
        first += tree.node_count
    return Trees(
        torch.tensor(roots), *(torch.from_numpy(np.concatenate(c)) for c in zip(*columns, strict=True))
    )


def _round_down(values: Floats) -> Floats:
    """Round down to float32, so that comparisons with float32 features do not change."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
