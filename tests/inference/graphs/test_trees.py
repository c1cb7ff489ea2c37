"""A forest as an inference graph: the votes of its trees at each pixel, and nothing that could run without end."""

import numpy as np
import onnx
import pytest
from sklearn.ensemble import RandomForestClassifier

from geoseg.inference.graphs.assembly import join_tensors
from geoseg.inference.graphs.builder import IMAGES, GraphBuilder
from geoseg.inference.graphs.texture import add_full_texture
from geoseg.inference.graphs.trees import Tree, forest_graph
from geoseg.inference.runtimes import onnx_runtime


@pytest.fixture
def stump():
    """One tree: feature 0 at most 0.5 is class 0, else mostly class 1."""
    return Tree(
        feature=np.array([0, 0, 0]),
        threshold=np.array([0.5, 0.0, 0.0], np.float32),
        left=np.array([1, -1, -1]),
        right=np.array([2, -1, -1]),
        shares=np.array([[0.5, 0.5], [1.0, 0.0], [0.25, 0.75]], np.float32),
    )


def test_a_stump_votes_by_its_threshold_where_the_pixel_lies(stump):
    images = np.zeros((2, 3, 4, 8), np.float32)
    images[0, 0, 1, 1] = 0.5
    images[1, 0, 2, 3] = 0.6

    logs = onnx_runtime(forest_graph([stump], 3), 1)(images)

    assert logs.shape == (2, 2, 4, 8)
    assert np.argwhere(logs.argmax(axis=1) == 1).tolist() == [[1, 2, 3]]
    expected = np.array([0.25, 0.75]) * 0.998 + 0.001
    np.testing.assert_allclose(np.exp(logs[1, :, 2, 3]), expected, rtol=1e-5)
    np.testing.assert_allclose(np.exp(logs).sum(axis=1), 1, rtol=1e-5)


def test_many_trees_vote_as_scikit_learn_does():
    rng = np.random.default_rng(0)
    images = rng.normal(0, 1, (1, 1, 24, 24)).astype(np.float32)
    forest = RandomForestClassifier(30, min_samples_leaf=3, random_state=5)
    forest.fit(rng.normal(0, 1, (200, 9)).astype(np.float32), rng.integers(0, 3, 200))
    trees = [
        Tree(
            tree.feature.astype(np.int64),
            tree.threshold.astype(np.float32),
            tree.children_left.astype(np.int64),
            tree.children_right.astype(np.int64),
            (tree.value[:, 0] / tree.value[:, 0].sum(axis=1, keepdims=True)).astype(np.float32),
        )
        for tree in (estimator.tree_ for estimator in forest.estimators_)
    ]
    builder = GraphBuilder()
    full = builder.build({"texture": add_full_texture(builder, IMAGES, 1)}, channels=1)
    features = onnx_runtime(full, 1)(images)[0].reshape(9, -1).T

    found = np.exp(onnx_runtime(forest_graph(trees, 1), 1)(images))[0].reshape(3, -1).T

    np.testing.assert_allclose(found, forest.predict_proba(features) * 0.997 + 0.001, atol=1e-5)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("nodes_truenodeids", [0, 0, 0]),
        ("nodes_falsenodeids", [9, 0, 0]),
        ("nodes_falsenodeids", [-1, 0, 0]),
        ("nodes_nodeids", [0, 1]),
        ("nodes_treeids", [0, 1, 1]),
    ],
)
def test_nodes_that_are_no_trees_are_refused(stump, column, values):
    model = onnx.load_from_string(forest_graph([stump], 3))
    [node] = [node for node in model.graph.node if node.op_type == "TreeEnsembleRegressor"]
    [attribute] = [attribute for attribute in node.attribute if attribute.name == column]
    del attribute.ints[:]
    attribute.ints.extend(values)
    with pytest.raises(ValueError, match="no trees"):
        join_tensors(model.SerializeToString(), {})
