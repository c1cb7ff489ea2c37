"""Put a stored inference graph together with its tensors and its calibration; check that it is safe to run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.inference.graphs.builder import IMAGES

Tensors = Mapping[str, NDArray[Any]]
_DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_CONTROL_FLOW = ("Loop", "If", "Scan", "SequenceMap")


def split_tensors(graph: bytes, known: Tensors) -> bytes:
    """Return a graph without the tensors that are in ``known`` under the same name, with the same values."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load_from_string(graph)
    kept = [
        tensor
        for tensor in model.graph.initializer
        if tensor.name not in known or not np.array_equal(numpy_helper.to_array(tensor), known[tensor.name])
    ]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
    return bytes(model.SerializeToString())


def tensors_of(graph: bytes) -> dict[str, NDArray[Any]]:
    """Return the tensors in a graph by name."""
    import onnx
    from onnx import numpy_helper

    stored = onnx.load_from_string(graph).graph.initializer
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in stored}


def join_tensors(graph: bytes, tensors: Tensors) -> Any:
    """Return a graph, as an ONNX model, with those of the tensors that it uses and lacks.

    Raises:
        ValueError: The bytes are no graph from images to logits, or it could read files or run without end.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
    from onnx import numpy_helper

    try:
        model = onnx.load_from_string(graph)
    except DecodeError as error:
        raise ValueError("the inference graph is damaged") from error
    _check_safe(model)
    stored = {tensor.name for tensor in model.graph.initializer}
    used = {name for node in model.graph.node for name in node.input}
    for name in sorted(used & tensors.keys() - stored):
        model.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(tensors[name]), name))
    if [value.name for value in model.graph.input] != [IMAGES] or len(model.graph.output) != 1:
        raise ValueError("the inference graph has other inputs or outputs")
    return model


def add_calibration(model: Any, temperature: float, shift: Sequence[float] | None) -> bytes:
    """Return a graph with the output ``probabilities``: softmax(logits / temperature + shift) (N, C, H, W).

    Args:
        model: The ONNX model, with one output of logits; it is changed.
        temperature: The temperature, > 0.
        shift: One value for each class, or None.
    """
    from onnx import helper, numpy_helper

    graph, last = model.graph, model.graph.output[0].name
    steps: list[tuple[str, Any]] = [("Mul", 1 / temperature)] if temperature != 1 else []
    if shift is not None:
        steps.append(("Add", np.array(shift)[:, None, None]))
    for operator, values in steps:
        name = f"calibration_{operator.lower()}"
        graph.initializer.append(numpy_helper.from_array(np.asarray(values, np.float32), f"{name}_values"))
        graph.node.append(helper.make_node(operator, [last, f"{name}_values"], [name], name=name))
        last = name
    graph.node.append(helper.make_node("Softmax", [last], ["probabilities"], name="probabilities", axis=1))
    graph.output[0].name = "probabilities"
    return bytes(model.SerializeToString())


def with_fixed_size(model: bytes, side_px: int) -> bytes:
    """Return a graph that declares images of this height and width, as programs that read them from it expect."""
    import onnx

    found = onnx.load_from_string(model)
    for value in found.graph.input:
        for dimension in value.type.tensor_type.shape.dim[2:]:
            dimension.dim_value = side_px
    return bytes(found.SerializeToString())


def _check_safe(model: Any) -> None:
    """Check that a graph of a model file can neither read other files nor run without end."""
    from onnx import TensorProto

    nodes, stored = model.graph.node, model.graph.initializer
    foreign = {node.op_type for node in nodes if node.domain not in _DOMAINS or node.op_type in _CONTROL_FLOW}
    if foreign or model.functions:
        raise ValueError(f"the inference graph has operators that are not allowed: {', '.join(foreign)}")
    constants = [tensor for n in nodes for a in n.attribute for tensor in (a.t, *a.tensors)]
    if model.graph.sparse_initializer or any(
        tensor.data_location == TensorProto.EXTERNAL for tensor in (*stored, *constants)
    ):
        raise ValueError("the inference graph refers to another file")
    for node in nodes:
        if any(attribute.HasField("g") or attribute.graphs for attribute in node.attribute):
            raise ValueError("the inference graph has nested graphs")
        if node.op_type.startswith("TreeEnsemble"):
            _check_trees(node)


def _check_trees(node: Any) -> None:
    """Check that the children of each node follow it in the same tree, so that every path ends at a leaf."""
    found = {attribute.name: attribute for attribute in node.attribute}
    try:
        columns = ("nodes_treeids", "nodes_nodeids", "nodes_truenodeids", "nodes_falsenodeids")
        tree, own, left, right = (np.array(found[name].ints, np.int64) for name in columns)
        is_leaf = np.array([mode == b"LEAF" for mode in found["nodes_modes"].strings])
        counts = np.bincount(tree)[tree]
        inner = ~is_leaf
        follows = (left > own) & (right > own) & (left < counts) & (right < counts)
        is_tree = bool(follows[inner].all()) and node.op_type == "TreeEnsembleRegressor"
    except (KeyError, ValueError, IndexError) as error:
        raise ValueError("the inference graph holds no trees") from error
    if not is_tree:
        raise ValueError("the inference graph holds no trees")
