"""The forest recipe: a random forest on colour and texture, the classical baseline.

Breiman, "Random forests", Machine Learning 45 (2001). Its trees travel as tensors, so that a forest is a
network as any other: one model file, no pickle.
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
from geoseg.learning.validation import Floats, Sample, folds_by_place, leave_out
from geoseg.networks.features.point_features import (
    FitData,
    Reader,
    even_choice,
    in_reading_order,
    read_labelled_and_not,
)
from geoseg.networks.features.texture import feature_count, texture

if TYPE_CHECKING:
    from sklearn.tree._tree import Tree

TREES = 200
LEAST_LEAF = 3
_LEAST_PROBABILITY = 1e-3


@dataclass(frozen=True)
class Trees:
    """The trees of a forest, their M nodes one after another, parents before children.

    Attributes:
        roots: First node of each tree (T,), int64.
        feature: Feature that a node asks for (M,), int64; 0 at leaves.
        threshold: Go left if the feature is at most this (M,), float32.
        left: Node to go to (M,), int64; a leaf's own number at leaves.
        right: As ``left``.
        shares: Class shares of the training points at a node (M, C), float32.
    """

    roots: Tensor
    feature: Tensor
    threshold: Tensor
    left: Tensor
    right: Tensor
    shares: Tensor


class ForestNetwork(nn.Module):
    """Colour and texture, and the mean vote of a forest on them; on any device it votes on the CPU.

    Args:
        trees: The forest.
        bands: B.

    Raises:
        ValueError: The nodes do not make trees, or ask for features that there are not.
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
        """Return the mean class shares (P, C) of features (P, F), float32, none of them 0."""
        values = np.ascontiguousarray(values, np.float32)
        if not len(values):
            return np.zeros((0, self.get_buffer("shares").shape[1]), np.float32)
        # The trees release Python's lock.
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            total = sum(pool.map(lambda tree: tree.predict(values), self._trees))
        mean: Floats = np.asarray(total, np.float32).reshape(len(values), -1) / len(self._trees)
        votes: Floats = mean * (1 - mean.shape[1] * _LEAST_PROBABILITY) + _LEAST_PROBABILITY
        return votes


def _rebuild(trees: Trees, numbers: range, *, features: int) -> Tree:
    """Return the nodes of these numbers as a tree of scikit-learn's, which walks them fast."""
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
    """Make sure that every walk ends inside its tree: children come after their parents and before the next root."""
    count = len(trees.left)
    if trees.shares.ndim != 2 or any(column.ndim != 1 for column in list(vars(trees).values())[:-1]):
        raise ValueError("these nodes are no trees")
    lengths = {len(column) for column in (trees.feature, trees.threshold, trees.right, trees.shares)}
    roots = trees.roots
    if lengths != {count} or not len(roots) or roots[0] != 0 or not bool((roots.diff() > 0).all()):
        raise ValueError("these nodes are no trees")
    own = torch.arange(count)
    end = torch.cat([roots[1:], roots.new_tensor([count])])
    if bool((roots >= count).any()):
        raise ValueError("these nodes are no trees")
    end = end.repeat_interleave(torch.diff(roots, append=roots.new_tensor([count])))
    leaf = (trees.left == own) & (trees.right == own)
    inner = (trees.left > own) & (trees.right > own) & (trees.left < end) & (trees.right < end)
    is_known = (trees.feature >= 0) & (trees.feature < features)
    if not bool((leaf | inner).all() and is_known.all()):
        raise ValueError("these nodes are no trees")


def trees_of(state: Mapping[str, Tensor]) -> Trees:
    """Return the trees in a network's state.

    Raises:
        ValueError: There are none.
    """
    names = list(Trees.__dataclass_fields__)
    if set(names) != set(state):
        raise ValueError("this state holds no forest")
    return Trees(*(state[name] for name in names))


@dataclass(frozen=True)
class ForestFit:
    """A forest, its logits at points left out and at unlabelled pixels (U, C), and its training loss."""

    network: ForestNetwork
    held_out: HeldOut | None
    blocks: Blocks
    unlabelled: Floats
    loss: float


def fit_forest(data: FitData, reader: Reader, *, seed: int, progress: Progress) -> ForestFit:
    """Fit a forest of 200 trees, at least 3 points a leaf, to colour and texture at the points.

    Args:
        data: Rasters and points; all points are used.
        reader: How to read the rasters; with a margin of 24 px at least, blurs see no border.
        seed: Seed of the trees, of the unlabelled pixels and of the folds.
        progress: Told of every step.

    Raises:
        TrainingError: The points are of fewer than two classes, or too few for any tree to tell them apart.
    """
    labelled, unlabelled = read_labelled_and_not(
        lambda images: [texture(images)], data, reader=reader, seed=seed, progress=progress
    )
    blocks = find_blocks(in_reading_order(even_choice(data.points), reader.patch_px), reader.patch_px)
    sample, channels = labelled.to_sample(blocks.numbers), data.normalisation.channels

    def fit_and_score(_: int, fitted: Sample, values: Floats) -> Floats:
        return _logits(ForestNetwork(_fit(fitted, data.classes, seed), channels), values)

    folds = folds_by_place(sample.labels, sample.places, seed=seed)
    trees = _fit(sample, data.classes, seed)
    if len(trees.left) == len(trees.roots):
        raise _too_few(sample)
    if len(sample.labels) < sample.values.shape[1]:
        progress.warn(
            f"The forest has {len(sample.labels)} points for {sample.values.shape[1]} features: too few to tell which "
            "features matter. Add points, at least 10 of each class, or use the recipe quick."
        )
    network = ForestNetwork(trees, channels)
    held_out = None if folds is None else leave_out(sample, folds, fit_and_score)
    own = HeldOut(_logits(network, sample.values), sample.labels, sample.weights)
    return ForestFit(
        network, held_out, blocks, _logits(network, unlabelled.values.numpy()), cross_entropy(own)
    )


def _too_few(sample: Sample) -> TrainingError:
    classes, counts = np.unique(sample.labels, return_counts=True)
    if counts.min() >= LEAST_LEAF and len(classes) > 1:
        return TrainingError(
            "no tree can tell the classes apart, and the map would have one class",
            expected="pixels that differ between the points of different classes",
            got="the same values at all points"
            if np.ptp(sample.values, axis=0).max() == 0
            else "pixels that are alike",
            hint="Check the raster and its bands (geoseg info), and whether the points lie where they should.",
        )
    return TrainingError(
        "the points are too few for a random forest: no tree can tell the classes apart, and the map would have one class",
        expected=f"at least {2 * LEAST_LEAF} points, and {LEAST_LEAF} or more of each class",
        got=f"{len(sample.labels)} points of {len(classes)} classes",
        hint="Add points, at least 10 of each class, or use the recipe quick.",
    )


def _logits(network: ForestNetwork, values: Floats) -> Floats:
    votes: Floats = np.log(network.vote(values))
    return votes


def _fit(sample: Sample, classes: int, seed: int) -> Trees:
    from sklearn.ensemble import RandomForestClassifier

    forest = RandomForestClassifier(TREES, min_samples_leaf=LEAST_LEAF, n_jobs=-1, random_state=seed)
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
                _rounded_down(tree.threshold),
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


def _rounded_down(values: Floats) -> Floats:
    """Return the largest float32 that is at most each value, which tells float32 numbers apart as it does."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near)
