# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a graph kept as float16 in its file, and computed with as float32.

Half of the file's size. An engine that reads the file sees a ``Cast`` behind every such weight;
who changes graphs reads it with ``parse_graph``, which takes the casts out again.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.optional import require

# Share of the weights that stays float32, the smallest ones: rounded, those of depthwise and thin
# convolutions alone would shift all depths by a thousandth.
KEPT_SHARE = 0.2
STORED = "stored_half_"  # prefix of the names of the casts


def store_half(content: bytes) -> bytes:
    """The same graph with its large float32 weights kept as float16.

    Args:
        content: Content of an ``.onnx`` file of float32 weights.
    """
    onnx = require("onnx")
    from sfm_depth_ros.engines.graphs.names import narrowed

    proto = onnx.load_model_from_string(content)
    casts = []
    for entry in _largest(proto, onnx):
        half = narrowed(entry.name, onnx.numpy_helper.to_array(entry), np.float16)
        entry.CopyFrom(onnx.numpy_helper.from_array(half, entry.name))
        casts.append(_cast(onnx, entry.name))
    single = {cast.input[0]: cast.output[0] for cast in casts}
    for node in proto.graph.node:
        _rename_inputs(node, single)
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    result: bytes = proto.SerializeToString()
    return result


def restore_single(proto: Any) -> None:
    """Undo :func:`store_half` in place; a graph without such weights stays as it is."""
    stored = [node for node in proto.graph.node if node.name.startswith(STORED)]
    if not stored:
        return
    numpy_helper = require("onnx").numpy_helper
    names = {node.output[0]: node.input[0] for node in stored}
    weights = set(names.values())
    for entry in proto.graph.initializer:
        if entry.name in weights:
            values = numpy_helper.to_array(entry).astype(np.float32)
            entry.CopyFrom(numpy_helper.from_array(values, entry.name))
    remaining = [node for node in proto.graph.node if not node.name.startswith(STORED)]
    for node in remaining:
        _rename_inputs(node, names)
    del proto.graph.node[:]
    proto.graph.node.extend(remaining)


def _largest(proto: Any, onnx: Any) -> list[Any]:
    """The float32 weights without the smallest ones."""
    weights = [
        entry for entry in proto.graph.initializer if entry.data_type == onnx.TensorProto.FLOAT
    ]
    sizes = {entry.name: int(np.prod(entry.dims)) for entry in weights}
    kept, left = 0, []
    for entry in sorted(weights, key=lambda entry: sizes[entry.name]):
        kept += sizes[entry.name]
        if kept > KEPT_SHARE * sum(sizes.values()):
            left.append(entry)
    return left


def _cast(onnx: Any, name: str) -> Any:
    kind = onnx.TensorProto.FLOAT
    return onnx.helper.make_node("Cast", [name], [f"{name}_single"], name=STORED + name, to=kind)


def _rename_inputs(node: Any, names: dict[str, str]) -> None:
    for place, name in enumerate(node.input):
        node.input[place] = names.get(name, name)
