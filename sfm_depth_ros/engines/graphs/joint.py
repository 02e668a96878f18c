# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth and pose in one graph: one call with the stack of images, both answers.

The depth network sees the newest image of the stack, which is uploaded and normalised once.
"""

from __future__ import annotations

from typing import Any

from sfm_depth_ros.engines.graphs.constants import parse_graph
from sfm_depth_ros.engines.graphs.names import FOLDED_NORMS, WEIGHTS, read_note, write_note
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.optional import require


def join_graphs(depth: bytes, pose: bytes, channels: int) -> bytes:
    """Make one graph of two.

    Args:
        depth: Content of the depth network's ``.onnx``.
        pose: Content of the pose network's, of the same precision and batch.
        channels: Of the pose network's input: three for every image.

    Returns:
        Content of an ``.onnx`` with input ``image`` as the pose network's and outputs ``depth``
        and ``motion``. Weights are named ``depth.NAME`` and ``pose.NAME``, so that a state with
        these names updates it.

    Raises:
        ModelError: One of them is no graph of ours.
    """
    onnx = require("onnx")
    protos = {"depth": parse_graph(depth), "pose": parse_graph(pose)}
    for kind, proto in protos.items():
        if len(proto.graph.input) != 1 or proto.graph.input[0].name != "image":
            raise ModelError(f"the {kind} graph has other inputs than one image; export it again")
        _prefix_names(proto.graph, f"{kind}.")
    joint = type(protos["pose"])()
    joint.CopyFrom(protos["pose"])
    graph = joint.graph
    graph.name = "depth_and_pose"
    graph.node.insert(
        0,
        onnx.helper.make_node(
            "Slice",
            ["image", "newest.first", "newest.end", "newest.axis"],
            ["depth.image"],
            name="newest_image",
        ),
    )
    _rename(graph, "pose.image", "image")
    for name, value in (("first", channels - 3), ("end", channels), ("axis", 1)):
        graph.initializer.append(
            onnx.helper.make_tensor(f"newest.{name}", onnx.TensorProto.INT64, [1], [value])
        )
    graph.node.extend(protos["depth"].graph.node)
    graph.initializer.extend(protos["depth"].graph.initializer)
    _rename(graph, "pose.motion", "motion")
    _rename(graph, "depth.depth", "depth")
    outputs = [*protos["depth"].graph.output, *graph.output]
    del graph.output[:]
    for value, name in zip(outputs, ("depth", "motion"), strict=True):
        graph.output.add().CopyFrom(value)
        graph.output[-1].name = name
    _join_notes(joint, protos)
    content: bytes = joint.SerializeToString()
    return content


def _prefix_names(graph: Any, prefix: str) -> None:
    for node in graph.node:
        node.name = prefix + node.name
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name:
                    names[index] = prefix + name
    for entry in graph.initializer:
        entry.name = prefix + entry.name
    for value in (*graph.input, *graph.output):
        value.name = prefix + value.name
    del graph.value_info[:]


def _rename(graph: Any, before: str, after: str) -> None:
    for node in graph.node:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == before:
                    names[index] = after
    for value in graph.input:
        if value.name == before:
            value.name = after


def _join_notes(joint: Any, protos: dict[str, Any]) -> None:
    norms: dict[str, Any] = {}
    weights: dict[str, bool] = {}
    for kind, proto in protos.items():
        for name, norm in read_note(proto, FOLDED_NORMS).items():
            norms[f"{kind}.{name}"] = {**norm, "name": f"{kind}.{norm['name']}"}
        weights |= {f"{kind}.{name}": used for name, used in read_note(proto, WEIGHTS).items()}
    del joint.metadata_props[:]
    write_note(joint, FOLDED_NORMS, norms)
    write_note(joint, WEIGHTS, weights)
