# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Weights of a graph by their parameters' names: naming, lookup and replacement."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.optional import require

FOLDED_NORMS = "folded_batch_norms"  # keys of the graph's metadata
WEIGHTS = "weights"  # names of the state dict, whether the graph uses them
PREFIX = "network."


def name_plainly(proto: Any, free_axes: Mapping[int, str], free_output_axes: int) -> None:
    """Name initialisers after parameters and free dimensions; drop the exporter's notes.

    The notes are stack traces with paths of this machine, and shapes that engines infer.

    Args:
        proto: ``onnx.ModelProto`` as the exporter made it.
        free_axes: Names of the input's free dimensions by axis.
        free_output_axes: Number of leading axes of the output with the same names.
    """
    graph = proto.graph
    for initializer in graph.initializer:
        initializer.name = initializer.name.removeprefix(PREFIX)
        del initializer.metadata_props[:]
    for node in graph.node:
        for index, name in enumerate(node.input):
            node.input[index] = name.removeprefix(PREFIX)
        del node.metadata_props[:]
    del graph.value_info[:], graph.metadata_props[:], proto.metadata_props[:]
    for value, axes in ((graph.input[0], 4), (graph.output[0], free_output_axes)):
        del value.metadata_props[:]
        for axis, name in free_axes.items():
            if axis < axes:
                value.type.tensor_type.shape.dim[axis].dim_param = name


def write_note(proto: Any, key: str, value: Any) -> None:
    """Keep a JSON value in the graph's metadata."""
    entry = proto.metadata_props.add()
    entry.key, entry.value = key, json.dumps(value)


def read_note(proto: Any, key: str) -> Any:
    """Value written by :func:`write_note`.

    Raises:
        ModelError: There is none.
    """
    for entry in proto.metadata_props:
        if entry.key == key:
            return json.loads(entry.value)
    raise ModelError(
        f"this .onnx lacks the note {key}, so its weights cannot be replaced; "
        "export it again with sfm-depth export"
    )


def replace_weights(proto: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Replace the initialisers with the tensors of the same names, in place.

    Args:
        proto: ``onnx.ModelProto`` with the note ``WEIGHTS``.
        tensors: Float32 by parameter name; each becomes what its initialiser is (fp32, fp16).

    Raises:
        ModelError: Names or shapes do not fit, or a weight is too large for fp16.
    """
    onnx = require("onnx")
    check_fit(proto, tensors)
    for initializer in proto.graph.initializer:
        if initializer.name in tensors:
            kind = onnx.helper.tensor_dtype_to_np_dtype(initializer.data_type)
            values = narrowed(initializer.name, tensors[initializer.name], kind)
            initializer.CopyFrom(onnx.numpy_helper.from_array(values, initializer.name))


def narrowed(name: str, values: np.ndarray, kind: Any) -> np.ndarray:
    """Weights as another floating type, if they fit into it.

    Raises:
        ModelError: A number becomes infinite.
    """
    with np.errstate(over="ignore"):
        result: np.ndarray = np.asarray(values, np.float32).astype(kind)
    if np.isinf(result).any() and np.isfinite(values).all():
        raise ModelError(
            f"{name} holds {np.abs(values).max():.1e}, too large for "
            f"{np.dtype(kind).name}; export at precision fp32"
        )
    return result


def fingerprints(proto: Any) -> tuple[str, str]:
    """SHA-256 of the graph without its weights, and of its weights.

    Args:
        proto: ``onnx.ModelProto``; what the note ``WEIGHTS`` names counts as weights.
    """
    of_weights = hashlib.sha256()
    for name, values in sorted(weight_arrays(proto).items()):
        of_weights.update(name.encode() + values.tobytes())
    skeleton = type(proto)()
    skeleton.CopyFrom(proto)
    weights = set(read_note(proto, WEIGHTS))
    for initializer in skeleton.graph.initializer:
        if initializer.name in weights:
            for field in ("raw_data", "float_data", "int32_data"):
                initializer.ClearField(field)
    of_graph = hashlib.sha256(skeleton.SerializeToString(deterministic=True))
    return of_graph.hexdigest(), of_weights.hexdigest()


def weight_arrays(proto: Any) -> dict[str, np.ndarray]:
    """Values of the weights that the graph uses, by name, in the type that it has them in."""
    onnx = require("onnx")
    weights = set(read_note(proto, WEIGHTS))
    return {
        entry.name: onnx.numpy_helper.to_array(entry)
        for entry in proto.graph.initializer
        if entry.name in weights
    }


def check_fit(proto: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Raise ``ModelError`` unless graph and tensors have the same names and shapes."""
    is_used: dict[str, bool] = read_note(proto, WEIGHTS)
    shapes = {entry.name: tuple(entry.dims) for entry in proto.graph.initializer}
    missing = sorted(set(tensors) - set(is_used))
    unexpected = sorted(name for name, used in is_used.items() if used and name not in tensors)
    reshaped = sorted(
        name
        for name, used in is_used.items()
        if used and name in tensors and tuple(tensors[name].shape) != shapes[name]
    )
    if missing or unexpected or reshaped:
        raise ModelError(
            f"weights and graph do not fit: not in the graph {missing}, not in the weights "
            f"{unexpected}, of another shape {reshaped}; export the network again"
        )
