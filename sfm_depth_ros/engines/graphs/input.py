# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""From the camera's bytes to the network's image, as a graph: the device does it, not the host.

The same area filter as ``camera/preprocessing.py`` has, without its rounding to bytes. A shrink by
whole factors is an average pooling; any other is exact as a product with two constant matrices,
for area averaging treats rows and columns apart. Always in float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sfm_depth_ros.engines.graphs.constants import parse_graph
from sfm_depth_ros.errors import ModelError
from sfm_depth_ros.optional import require

BYTES, IMAGE = "image_bytes", "image"
PREFIX = "input."


@dataclass(frozen=True)
class InputLayout:
    """Which part of the camera's image the network sees, and at which size."""

    camera_hw: tuple[int, int]  # Height and width of the camera's image
    cut: tuple[int, int, int, int]  # (left, top, right, bottom) of the part that is scaled
    scaled_hw: tuple[int, int]  # Height and width of the scaled cut
    # Rows taken off its top; negative = rows added there, which repeat the first
    cut_rows: int = 0

    @classmethod
    def identity(cls, image_hw: tuple[int, int]) -> InputLayout:
        """For bytes that have the network's size already."""
        height, width = image_hw
        return cls(image_hw, (0, 0, width, height), image_hw)

    @property
    def network_hw(self) -> tuple[int, int]:
        """Height and width of the network's image."""
        return self.scaled_hw[0] - self.cut_rows, self.scaled_hw[1]

    @property
    def factors(self) -> tuple[int, int] | None:
        """Whole factors by which rows and columns shrink; None where they are not whole."""
        left, top, right, bottom = self.cut
        rows, columns = (bottom - top) / self.scaled_hw[0], (right - left) / self.scaled_hw[1]
        return (int(rows), int(columns)) if rows % 1 == columns % 1 == 0 else None


def area_matrix(size: int, scaled: int) -> np.ndarray:
    """Area averaging along one axis.

    Args:
        size: Pixels before.
        scaled: Pixels after, at most ``size``.

    Returns:
        ``(scaled, size)`` float32: which share of every pixel goes into which. Rows sum to 1.
    """
    edges = np.arange(scaled + 1) * (size / scaled)
    pixels = np.arange(size)
    first = np.maximum(edges[:-1, None], pixels)  # (scaled, size)
    last = np.minimum(edges[1:, None], pixels + 1)
    overlap = np.clip(last - first, 0.0, None)
    matrix: np.ndarray = (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
    return matrix


def prepend_input(content: bytes, layout: InputLayout, images: int = 1) -> bytes:
    """Let a graph take bytes.

    Args:
        content: Content of an ``.onnx`` with one input ``image``, ``(1, 3 images, h, w)``.
        layout: From the camera's image to the network's.
        images: Images that the network sees at a time, in temporal order.

    Returns:
        Content of an ``.onnx`` with the input ``image_bytes``, ``(images, H, W, 3)`` uint8 RGB.
        Names of weights stay, so that it can be updated as before.

    Raises:
        ModelError: The graph has another input.
    """
    proto = parse_graph(content)
    graph = proto.graph
    if [value.name for value in graph.input] != [IMAGE]:
        raise ModelError(
            f"a graph with inputs {[value.name for value in graph.input]} cannot "
            f"take bytes, expected {IMAGE} alone; export it again"
        )
    _fix_size(graph, (1, 3 * images, *layout.network_hw))
    front = input_graph(layout, images).graph
    network = list(graph.node)
    del graph.node[:], graph.input[:]
    graph.node.extend(front.node)
    graph.node.extend(network)
    graph.initializer.extend(front.initializer)
    graph.input.extend(front.input)
    result: bytes = proto.SerializeToString()
    return result


def input_graph(layout: InputLayout, images: int = 1) -> Any:
    """The way from bytes to the network's image alone.

    Args:
        layout: From the camera's image to the network's.
        images: Images at a time, in temporal order.

    Returns:
        ``onnx.ModelProto`` from ``image_bytes`` ``(images, H, W, 3)`` uint8 RGB to ``image``
        ``(1, 3 images, h, w)`` float32 in [0, 1].
    """
    onnx = require("onnx")
    kinds = onnx.TensorProto
    front = _Front(onnx, layout)
    front.add("Cast", [], to=kinds.FLOAT)
    front.add("Transpose", [], perm=[0, 3, 1, 2])  # (images, 3, H, W)
    front.scale()
    front.add("Mul", [front.constant("unit", np.float32(1 / 255))])
    shape = (1, 3 * images, *layout.network_hw)
    front.add("Reshape", [front.constant("shape", np.array(shape, np.int64))])
    front.nodes[-1].output[0] = IMAGE
    taken = onnx.helper.make_tensor_value_info(BYTES, kinds.UINT8, (images, *layout.camera_hw, 3))
    given = onnx.helper.make_tensor_value_info(IMAGE, kinds.FLOAT, shape)
    graph = onnx.helper.make_graph(front.nodes, "input", [taken], [given], front.initializers)
    opset = onnx.helper.make_opsetid("", 18)
    return onnx.helper.make_model(graph, opset_imports=[opset], ir_version=10)


class _Front:
    """A chain of nodes, each reading the one before."""

    def __init__(self, onnx: Any, layout: InputLayout) -> None:
        self._onnx, self._layout = onnx, layout
        self._last = BYTES
        self.nodes: list[Any] = []
        self.initializers: list[Any] = []

    def add(self, operation: str, others: list[str], **attributes: Any) -> None:
        """Append a node that reads the last output and constants."""
        self._append(operation, [self._last, *others], attributes)

    def constant(self, name: str, value: np.ndarray | np.float32) -> str:
        """Add a constant; its name."""
        full = PREFIX + name
        self.initializers.append(self._onnx.numpy_helper.from_array(np.asarray(value), full))
        return full

    def scale(self) -> None:
        """Cut, average, and fit the height."""
        layout, factors = self._layout, self._layout.factors
        if factors is None:
            rows, columns = _matrices(layout)
            self._append("MatMul", [self.constant("rows", rows), self._last], {})
            self._append("MatMul", [self._last, self.constant("columns", columns)], {})
            return
        left, top, right, bottom = layout.cut
        top += max(layout.cut_rows, 0) * factors[0]
        if (left, top, right, bottom) != (0, 0, layout.camera_hw[1], layout.camera_hw[0]):
            bounds = {"first": [top, left], "end": [bottom, right], "axes": [2, 3]}
            self.add(
                "Slice",
                [self.constant(name, np.array(value, np.int64)) for name, value in bounds.items()],
            )
        if factors != (1, 1):
            self.add("AveragePool", [], kernel_shape=list(factors), strides=list(factors))
        if layout.cut_rows < 0:
            pads = np.array([0, 0, -layout.cut_rows, 0, 0, 0, 0, 0], np.int64)
            self.add("Pad", [self.constant("pads", pads)], mode="edge")

    def _append(self, operation: str, inputs: list[str], attributes: dict[str, Any]) -> None:
        name = f"{PREFIX}{len(self.nodes)}"
        self.nodes.append(
            self._onnx.helper.make_node(
                operation, inputs, [name], name=f"{name}_{operation}", **attributes
            )
        )
        self._last = name


def _matrices(layout: InputLayout) -> tuple[np.ndarray, np.ndarray]:
    """``(h, H)`` and ``(W, w)``: what to multiply the camera's planes with, from both sides."""
    left, top, right, bottom = layout.cut
    rows = np.zeros((layout.scaled_hw[0], layout.camera_hw[0]), np.float32)
    rows[:, top:bottom] = area_matrix(bottom - top, layout.scaled_hw[0])
    columns = np.zeros((layout.camera_hw[1], layout.scaled_hw[1]), np.float32)
    columns[left:right] = area_matrix(right - left, layout.scaled_hw[1]).T
    added = np.repeat(rows[:1], max(-layout.cut_rows, 0), axis=0)
    return np.concatenate((added, rows[max(layout.cut_rows, 0) :])), columns


def shrink(layout: InputLayout, images: np.ndarray) -> np.ndarray:
    """What the graph computes, in numpy: the reference that a device is compared with.

    Args:
        layout: From the camera's image to the network's.
        images: ``(N, H, W, 3)`` uint8 RGB.

    Returns:
        ``(1, 3 N, h, w)`` float32 in [0, 1].
    """
    rows, columns = _matrices(layout)
    planes = images.transpose(0, 3, 1, 2).astype(np.float64)  # (N, 3, H, W)
    small = rows.astype(np.float64) @ planes @ columns.astype(np.float64) / 255
    result: np.ndarray = small.reshape(1, -1, *layout.network_hw).astype(np.float32)
    return result


def _fix_size(graph: Any, shape: tuple[int, ...]) -> None:
    """Bind the free sizes of the outputs, which no input names any more."""
    sizes = dict(zip(("batch", "height", "width"), (shape[0], *shape[2:]), strict=True))
    for value in graph.output:
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param:
                dimension.dim_value = sizes[dimension.dim_param]
