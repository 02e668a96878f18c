# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Constant folding in ONNX graphs, and shapes and biases fixed in advance.

The exporter writes axes and scales as small computations on constants. TensorRT's parser requires
many of them as plain constants. Weights stay as they are: they must be replaceable by name.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.graphs.storage import restore_single
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.optional import require

LARGEST = 1 << 16  # elements; a larger result would only make the file larger


def parse_graph(content: bytes) -> Any:
    """Read the content of an ``.onnx`` file; weights stored as float16 become float32.

    Raises:
        ModelError: It is no ONNX graph.
    """
    onnx = require("onnx")
    from google.protobuf.message import DecodeError  # onnx brings protobuf

    try:
        proto = onnx.load_model_from_string(content)
    except DecodeError as error:
        raise ModelError(f"this .onnx cannot be read ({error}); export it again") from error
    restore_single(proto)
    return proto


def lower_ir_version(proto: Any) -> None:
    """Give a graph the lowest IR version that its opset allows, in place.

    Exporters write the newest that they know; runtimes refuse newer ones than theirs, though the
    graph needs nothing of them (ONNX Runtime 1.17 reads 9).
    """
    helper = require("onnx").helper
    proto.ir_version = min(
        proto.ir_version, helper.find_min_ir_version_for(list(proto.opset_import))
    )


def fold_constants(proto: Any) -> None:
    """Replace computations on ``Constant`` nodes by their results, in place.

    Args:
        proto: ``onnx.ModelProto``. Its initialisers stay as they are, and so does what is
            computed from them.
    """
    onnx = require("onnx")
    _name_cast_types(onnx, proto)
    known: dict[str, np.ndarray] = {}
    remaining = []
    for node in proto.graph.node:
        if not node.output or any(name and name not in known for name in node.input):
            remaining.append(node)
            continue
        results = _evaluate(onnx, proto, node, known)
        if any(value.size > LARGEST for value in results.values()):
            remaining.append(node)
        else:
            known.update(results)
    read = {name for node in remaining for name in node.input}
    read |= {value.name for value in proto.graph.output}
    del proto.graph.node[:]
    proto.graph.node.extend(remaining)
    proto.graph.initializer.extend(
        onnx.numpy_helper.from_array(value, name) for name, value in known.items() if name in read
    )


def fix_input_shape(proto: Any, shape: tuple[int, ...]) -> None:
    """Give the graph's image one shape, in place; sizes inside then need no computing.

    Args:
        proto: ``onnx.ModelProto`` with one input.
        shape: ``(N, C, H, W)``.
    """
    for value in (*proto.graph.input, *proto.graph.output):
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if value.name == proto.graph.input[0].name:
                dimension.dim_value = shape[axis]
            elif dimension.dim_param:
                dimension.ClearField("dim_param")  # follows from the input's


def dequantise_biases(proto: Any) -> None:
    """Write biases that an int8 graph has as int32 as float32, in place, the same numbers.

    TensorRT dequantises nothing of 32 bits; it quantises biases by itself.
    """
    onnx = require("onnx")
    entries = {entry.name: entry for entry in proto.graph.initializer}
    wide = {name for name, entry in entries.items() if entry.data_type == onnx.TensorProto.INT32}
    remaining = []
    for node in proto.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in wide:
            remaining.append(node)
            continue
        whole, scale, zero = (onnx.numpy_helper.to_array(entries[name]) for name in node.input)
        values = ((whole - zero) * scale).astype(np.float32)  # (channels,), all of them
        proto.graph.initializer.append(onnx.numpy_helper.from_array(values, node.output[0]))
    del proto.graph.node[:]
    proto.graph.node.extend(remaining)
    read = {name for node in remaining for name in node.input}
    for name in wide - read:
        proto.graph.initializer.remove(entries[name])


def _name_cast_types(onnx: Any, proto: Any) -> None:
    """Replace ``CastLike`` by ``Cast``: a constant's type then depends on no tensor any more."""
    if not any(node.op_type == "CastLike" for node in proto.graph.node):
        return
    inferred = onnx.shape_inference.infer_shapes(proto).graph
    values = (*inferred.value_info, *inferred.input, *inferred.output)
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    kinds |= {entry.name: entry.data_type for entry in inferred.initializer}
    for node in proto.graph.node:
        if node.op_type == "CastLike" and node.input[1] in kinds:
            cast = onnx.helper.make_node(
                "Cast", node.input[:1], node.output, name=node.name, to=kinds[node.input[1]]
            )
            node.CopyFrom(cast)


def _evaluate(
    onnx: Any, proto: Any, node: Any, known: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Results of one node by name, computed by ONNX's own reference."""
    from onnx.reference import ReferenceEvaluator

    feeds = {name: known[name] for name in node.input if name}
    inputs = [
        onnx.helper.make_tensor_value_info(
            name, onnx.helper.np_dtype_to_tensor_dtype(value.dtype), value.shape
        )
        for name, value in feeds.items()
    ]
    outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in node.output]
    graph = onnx.helper.make_graph([node], "constant", inputs, outputs)
    model = onnx.helper.make_model(
        graph, opset_imports=proto.opset_import, ir_version=proto.ir_version
    )
    values = ReferenceEvaluator(model).run(None, feeds)
    return {name: np.asarray(value) for name, value in zip(node.output, values, strict=True)}
