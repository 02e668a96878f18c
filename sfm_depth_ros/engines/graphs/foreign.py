# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""A depth graph of any origin, wrapped into this project's contract.

Inside lies the user's graph as it is; before it the image's normalisation, behind it the head's
arithmetic with ``log_scale`` and ``shift`` as initialisers, as in an exported network. The result
takes ``image`` ``(1, 3, h, w)`` RGB in [0, 1] and gives ``depth`` ``(1, 1, h, w)`` in metres.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from sfm_depth_ros.config.networks import DEPTH_AFFINE, INVERSE_AFFINE, METRIC
from sfm_depth_ros.engines.graphs.foreign_source import (
    depth_output,
    fix_size,
    only_image,
    output_shape,
    parse_graph,
)
from sfm_depth_ros.engines.graphs.names import FOLDED_NORMS, WEIGHTS, write_note
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.optional import require

SMALLEST_INVERSE_DEPTH = 1e-6  # 1/m
SMALLEST_DEPTH = 1e-3  # metres
SOURCE_HASH = "source_sha256"  # stands for the graph among the weights, and so in the model's id
PREFIX = "sfm_"  # of what is added


@dataclass(frozen=True)
class GraphDeclaration:
    """Facts that a foreign graph does not hold."""

    head: str  # metric, inverse-affine or depth-affine
    size: tuple[int, int] | None = None  # (width, height) of its image; None = as in the graph
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)  # of RGB in [0, 1], subtracted
    deviation: tuple[float, ...] = (1.0, 1.0, 1.0)  # divided by then; 1/255 for bytes as floats
    units: float = 1.0  # metres of a metric output of 1
    A: float = 1.0  # of 1 / (A out + B), or of A out + B
    B: float = 0.0
    output: str | None = None  # name of the depth among several outputs


@dataclass(frozen=True)
class WrappedGraph:
    """A graph under the contract, with what stands for its weights."""

    content: bytes  # of an .onnx file
    state: dict[str, np.ndarray]  # ``log_scale``, ``shift`` of an affine head, ``source_sha256``
    size: tuple[int, int]  # (width, height) of its image


def wrap_graph(source: bytes, declaration: GraphDeclaration) -> WrappedGraph:
    """Wrap a foreign graph.

    Args:
        source: Content of an ``.onnx`` file.
        declaration: What the user knows of it.

    Raises:
        ModelError: It is no graph from one image to one depth, of a size that is not known, or
            cannot be run.
        MissingDependencyError: ``onnx`` or ONNX Runtime is not installed.
    """
    onnx = require("onnx")
    proto = parse_graph(onnx, source)
    image = only_image(proto)
    width, height = fix_size(image, declaration.size)
    chosen = depth_output(proto, declaration.output)
    shape = output_shape(proto, image.name, chosen, (height, width))
    state = _state(declaration, source)
    _rename(proto)
    _prepend(onnx, proto, declaration, (height, width))
    _append(onnx, proto, PREFIX + chosen, shape, (height, width), declaration.head, state)
    write_note(proto, FOLDED_NORMS, {})
    write_note(proto, WEIGHTS, {name: name != SOURCE_HASH for name in sorted(state)})
    content: bytes = proto.SerializeToString()
    return WrappedGraph(content, state, (width, height))


def _state(declaration: GraphDeclaration, source: bytes) -> dict[str, np.ndarray]:
    """``log_scale`` multiplies every depth, ``shift`` is added to the output of an affine head."""
    if declaration.head == METRIC:
        numbers = {"log_scale": np.log(declaration.units)}
    else:
        sign = -1.0 if declaration.head == INVERSE_AFFINE else 1.0
        numbers = {
            "log_scale": sign * np.log(declaration.A),
            "shift": declaration.B / declaration.A,
        }
    state = {name: np.array(value, np.float32) for name, value in numbers.items()}
    digest = np.frombuffer(hashlib.sha256(source).digest(), np.uint8)
    return {**state, SOURCE_HASH: digest.astype(np.float32)}


def _rename(proto: Any) -> None:
    """Names of its own for all that is inside, so that what is added clashes with nothing."""
    from onnx import compose

    compose.add_prefix(proto, PREFIX, inplace=True)


def _prepend(
    onnx: Any, proto: Any, declaration: GraphDeclaration, size_hw: tuple[int, int]
) -> None:
    """Normalise ``image`` before the graph."""
    graph = proto.graph
    constants = {entry.name for entry in graph.initializer}
    inner = next(value.name for value in graph.input if value.name not in constants)
    shape = (1, 3, 1, 1)
    _constant(onnx, graph, "mean", np.array(declaration.mean, np.float32).reshape(shape))
    _constant(onnx, graph, "deviation", np.array(declaration.deviation, np.float32).reshape(shape))
    node = onnx.helper.make_node
    nodes = [
        node("Sub", ["image", "mean"], ["centred"], name="centred"),
        node("Div", ["centred", "deviation"], [inner], name="normalised"),
        *graph.node,
    ]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.append(
        onnx.helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, (1, 3, *size_hw))
    )


def _append(
    onnx: Any,
    proto: Any,
    output: str,
    shape_hw: tuple[int, int],
    size_hw: tuple[int, int],
    head: str,
    state: dict[str, np.ndarray],
) -> None:
    """The head's arithmetic behind the graph, and ``depth`` as its one output."""
    graph, node = proto.graph, onnx.helper.make_node
    for name, value in state.items():
        if name != SOURCE_HASH:
            _constant(onnx, graph, name, value)
    _constant(onnx, graph, "map_shape", np.array((1, 1, *shape_hw), np.int64))
    _constant(onnx, graph, "full_shape", np.array((1, 1, *size_hw), np.int64))
    nodes = [node("Reshape", [output, "map_shape"], ["map"], name="map")]
    out = "map"
    if shape_hw != size_hw:
        nodes.append(
            node("Resize", ["map", "", "", "full_shape"], ["full"], name="full", mode="linear")
        )
        out = "full"
    nodes.append(node("Exp", ["log_scale"], ["scale"], name="scale"))
    if head != METRIC:
        nodes.append(node("Add", [out, "shift"], ["shifted"], name="shifted"))
        out = "shifted"
    smallest = SMALLEST_INVERSE_DEPTH if head == INVERSE_AFFINE else SMALLEST_DEPTH
    _constant(onnx, graph, "smallest", np.array(smallest, np.float32))
    nodes.append(node("Max", [out, "smallest"], ["positive"], name="positive"))
    kind = "Div" if head == INVERSE_AFFINE else "Mul"
    nodes.append(node(kind, ["scale", "positive"], ["depth"], name="depth"))
    graph.node.extend(nodes)
    del graph.output[:], graph.value_info[:]
    graph.output.append(
        onnx.helper.make_tensor_value_info("depth", onnx.TensorProto.FLOAT, (1, 1, *size_hw))
    )


def _constant(onnx: Any, graph: Any, name: str, value: np.ndarray) -> None:
    graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(value), name))


def check_outputs(depth: np.ndarray, head: str, log_scale: float) -> None:
    """Refuse a wrapped graph whose depths of natural pictures make no sense.

    Args:
        depth: ``(N, 1, h, w)`` its depths.
        head: As declared.
        log_scale: Of the wrapped graph.

    Raises:
        ModelError: NaN, one number everywhere, or mostly of the wrong sign.
    """
    if not np.isfinite(depth).all():
        raise ModelError("the graph outputs NaN or infinity; check --mean and --deviation")
    unscaled = depth / np.exp(log_scale)
    if head == INVERSE_AFFINE:
        clamped = unscaled >= 0.99 / SMALLEST_INVERSE_DEPTH
    else:
        clamped = unscaled <= 1.01 * SMALLEST_DEPTH
    if clamped.mean() > 0.5:
        other = DEPTH_AFFINE if head == INVERSE_AFFINE else INVERSE_AFFINE
        raise ModelError(
            f"{100 * clamped.mean():.0f} % of the outputs are zero or of the wrong sign for "
            f"--head {head}; declare --head {other}, another --output, or its --mean and "
            "--deviation"
        )
    if np.ptp(depth) <= 1e-6 * np.abs(depth).max():
        raise ModelError(
            f"the output is {depth.flat[0]:g} everywhere on natural pictures; check --mean and "
            "--deviation, or name another with --output"
        )
