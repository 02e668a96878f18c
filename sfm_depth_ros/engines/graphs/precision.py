# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Half precision of ONNX graphs, typed in the graph as strongly typed engines require.

Half: convolutions and matrix products, and the plain arithmetic, resizing and moving of data that
leads to them. Single: the image's normalisation; sums and means of reductions and the norms built
on them; divisions, exponentials, logarithms, roots and powers; and everything from the last
convolution on, the head of one or six channels: its bias, rounded, would shift every depth, the
reciprocal of its disparity would lose far distances, and ``log_scale`` is applied there. The
graph's input and output stay float32.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.graphs.names import narrowed
from sfm_depth_ros.optional import require

HEAVY = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
LIGHT = frozenset({
    "Add", "AveragePool", "Clip", "Concat", "DepthToSpace", "Elu", "Expand", "Flatten", "Identity",
    "LeakyRelu", "Max", "MaxPool", "Min", "Mul", "Neg", "Pad", "PRelu", "Relu", "Reshape",
    "Resize", "Selu", "Sigmoid", "Slice", "SpaceToDepth", "Split", "Squeeze", "Sub", "Tanh",
    "Tile", "Transpose", "Unsqueeze", "Where",
})  # fmt: skip
# Inputs that keep their own type: scales of a resize, sizes, axes.
UNTYPED_INPUTS = {"Resize": {1, 2, 3}}


def to_half(proto: Any) -> None:
    """Convert a float32 graph, in place.

    Args:
        proto: ``onnx.ModelProto`` without ``Constant`` nodes of weights; initialisers that only
            half-precision operations read become float16 and keep their names.

    Raises:
        ModelError: A weight is too large for float16.
    """
    _HalfGraph(proto).convert()


class _HalfGraph:
    """The conversion, node by node in the graph's own order."""

    def __init__(self, proto: Any) -> None:
        self._onnx = require("onnx")
        self._graph = proto.graph
        self._floats = _float_tensors(self._onnx, proto)
        self._is_half = _half_nodes(proto.graph)
        self._half: set[str] = set()  # tensors that are float16 by now
        self._casts: dict[tuple[str, bool], str] = {}
        self._nodes: list[Any] = []

    def convert(self) -> None:
        """Type every node, and cast where the type changes."""
        self._convert_initializers()
        for index, node in enumerate(self._graph.node):
            half = self._is_half[index]
            for place in self._typed_inputs(node):
                node.input[place] = self._as_type(node.input[place], half)
            if half:
                self._half.update(name for name in node.output if name in self._floats)
            self._nodes.append(node)
        for value in self._graph.output:
            self._keep_output_float(value.name)
        del self._graph.node[:]
        self._graph.node.extend(self._nodes)

    def _convert_initializers(self) -> None:
        readers: dict[str, set[bool]] = {}
        for index, node in enumerate(self._graph.node):
            for place in self._typed_inputs(node):
                readers.setdefault(node.input[place], set()).add(self._is_half[index])
        numpy_helper = self._onnx.numpy_helper
        for entry in self._graph.initializer:
            if readers.get(entry.name) == {True}:
                values = numpy_helper.to_array(entry)
                entry.CopyFrom(
                    numpy_helper.from_array(narrowed(entry.name, values, np.float16), entry.name)
                )
                self._half.add(entry.name)

    def _typed_inputs(self, node: Any) -> list[int]:
        """Places of the inputs that have the node's floating type."""
        untyped = UNTYPED_INPUTS.get(node.op_type, set())
        return [
            place
            for place, name in enumerate(node.input)
            if name in self._floats and place not in untyped
        ]

    def _as_type(self, name: str, half: bool) -> str:
        """Name of the same tensor in the wanted type."""
        if (name in self._half) == half:
            return name
        if (name, half) not in self._casts:
            cast = f"{name}_{'half' if half else 'single'}"
            kind = self._onnx.TensorProto.FLOAT16 if half else self._onnx.TensorProto.FLOAT
            self._nodes.append(
                self._onnx.helper.make_node("Cast", [name], [cast], name=f"cast_{cast}", to=kind)
            )
            self._casts[name, half] = cast
            if half:
                self._half.add(cast)
        return self._casts[name, half]

    def _keep_output_float(self, name: str) -> None:
        if name not in self._half:
            return
        producer = next(node for node in self._nodes if name in node.output)
        producer.output[list(producer.output).index(name)] = f"{name}_half"
        self._nodes.append(
            self._onnx.helper.make_node(
                "Cast",
                [f"{name}_half"],
                [name],
                name=f"cast_{name}",
                to=self._onnx.TensorProto.FLOAT,
            )
        )
        for node in self._nodes[:-1]:
            for place, read in enumerate(node.input):
                if read == name:
                    node.input[place] = f"{name}_half"


def _float_tensors(onnx: Any, proto: Any) -> set[str]:
    """Names of all float32 tensors of the graph."""
    single = onnx.TensorProto.FLOAT
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    names = {value.name for value in values if value.type.tensor_type.elem_type == single}
    return names | {entry.name for entry in inferred.initializer if entry.data_type == single}


def _half_nodes(graph: Any) -> list[bool]:
    """Selection of the nodes that compute in half precision, see the module's docstring."""
    leads_to_heavy: set[str] = set()  # tensors that a heavy operation depends on
    is_half = [False] * len(graph.node)
    for index in range(len(graph.node) - 1, -1, -1):
        node = graph.node[index]
        needed = any(name in leads_to_heavy for name in node.output)
        is_half[index] = needed and node.op_type in HEAVY | LIGHT
        if needed or node.op_type in HEAVY:
            leads_to_heavy.update(node.input)
    return _without_normalisation(graph, is_half)


def _without_normalisation(graph: Any, is_half: list[bool]) -> list[bool]:
    """Leave what happens to the image before anything heavy in single precision."""
    after_heavy: set[str] = set()
    result = []
    for index, node in enumerate(graph.node):
        is_heavy = node.op_type in HEAVY
        if is_heavy or any(name in after_heavy for name in node.input):
            after_heavy.update(node.output)
            result.append(is_half[index])
        else:
            result.append(False)
    return result
