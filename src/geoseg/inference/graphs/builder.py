"""Build an ONNX graph node by node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

OPSET = 18
TREES_OPSET = 3
"""Version of the operators for machine learning, which include tree ensembles."""
IR_VERSION = 10
IMAGES = "images"
"""The input of every graph: normalised images (N, B, H, W), float32."""


class GraphBuilder:
    """Nodes and tensors of an ONNX graph with the input ``images``."""

    def __init__(self) -> None:
        self._nodes: list[Any] = []
        self._tensors: dict[str, NDArray[Any]] = {}

    def add(
        self, operator: str, *inputs: str, domain: str = "", name: str | None = None, **attributes: Any
    ) -> str:
        """Add a node with one output, and return the name of the output.

        Args:
            operator: The ONNX operator.
            *inputs: Names of the inputs; "" leaves out an optional one.
            domain: Domain of the operator; "" is ONNX's own.
            name: Name of the node and its output; None numbers it.
            **attributes: Attributes of the node.
        """
        from onnx import helper

        found = name or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(
            helper.make_node(operator, list(inputs), [found], name=found, domain=domain, **attributes)
        )
        return found

    def add_top_k(self, values: str, count: int) -> tuple[str, str]:
        """Add a node that finds the largest ``count`` values along the last axis; return them and their positions."""
        from onnx import helper

        name = f"topk_{len(self._nodes)}"
        outputs = [f"{name}_values", f"{name}_positions"]
        inputs = [values, self.constant([count], np.int64)]
        self._nodes.append(helper.make_node("TopK", inputs, outputs, name=name, axis=-1))
        return outputs[0], outputs[1]

    def add_maps_of_rows(self, rows: str, cells: str, columns: int) -> str:
        """Add maps (N, ``columns``, H, W) of values of all pixels (N H W, ``columns``).

        Args:
            rows: The values.
            cells: A tensor (N, H, W, any), which has the pixels of the values.
            columns: Number of values per pixel.
        """
        ends = [self.constant([n], np.int64) for n in (0, 3)]
        size = self.add("Slice", self.add("Shape", cells), *ends)
        shape = self.add("Concat", size, self.constant([columns], np.int64), axis=0)
        return self.add("Transpose", self.add("Reshape", rows, shape), perm=[0, 3, 1, 2])

    def tensor(self, name: str, values: NDArray[Any]) -> str:
        """Store a tensor, once for each name, and return the name."""
        self._tensors.setdefault(name, values)
        return name

    def constant(self, values: Sequence[float] | float, dtype: type[np.generic] = np.float32) -> str:
        """Store small constant values, and return their name; equal constants are stored once."""
        array = np.array(values, dtype)
        return self.tensor(f"constant_{array.dtype}_{array.shape}_{array.tolist()}".replace(" ", ""), array)

    def build(self, outputs: Mapping[str, str], *, channels: int) -> bytes:
        """Return the ONNX model.

        Args:
            outputs: Name of each output, and the value that it shows.
            channels: B, the number of channels of ``images``.
        """
        from onnx import TensorProto, helper, numpy_helper

        shown = [helper.make_node("Identity", [value], [name], name=name) for name, value in outputs.items()]
        graph = helper.make_graph(
            [*self._nodes, *shown],
            "geoseg",
            [helper.make_tensor_value_info(IMAGES, TensorProto.FLOAT, ["n", channels, "h", "w"])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", None, None, None])
                for name in outputs
            ],
            [numpy_helper.from_array(np.ascontiguousarray(v), n) for n, v in self._tensors.items()],
        )
        versions = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", TREES_OPSET)]
        model = helper.make_model(
            graph, ir_version=IR_VERSION, opset_imports=versions, producer_name="geoseg"
        )
        return bytes(model.SerializeToString())


def add_upsampling(builder: GraphBuilder, maps: str, images: str) -> str:
    """Add bilinear upsampling of maps to the height and width of images; return the name of the result."""
    first, last = (builder.constant([n], np.int64) for n in (2, 4))
    none = builder.constant([0], np.int64)
    size = builder.add("Slice", builder.add("Shape", images), first, last)
    kept = builder.add("Slice", builder.add("Shape", maps), none, first)
    sizes = builder.add("Concat", kept, size, axis=0)
    return add_resize(builder, maps, sizes=sizes)


def add_resize(builder: GraphBuilder, maps: str, *, scales: str = "", sizes: str = "") -> str:
    """Add bilinear resampling, with the corners of the outermost pixels aligned; give ``scales`` or ``sizes``."""
    return builder.add(
        "Resize",
        maps,
        "",
        scales,
        *([sizes] if sizes else []),
        mode="linear",
        coordinate_transformation_mode="half_pixel",
    )
