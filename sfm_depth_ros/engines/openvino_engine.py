# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference by OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest, check_input, check_output, closed
from sfm_depth_ros.engines.quantisation import graph_of
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.optional import require

# Arithmetic of the graph, in an int8 graph of the parts that are not quantised.
PRECISIONS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}


class OpenVinoEngine(Engine):
    """A network in OpenVINO, fp32, bf16 or int8."""

    name = "openvino"

    def __init__(self, request: EngineRequest) -> None:
        """Compile the graph for one shape.

        Raises:
            EngineError: The precision or the graph is not supported.
            MissingDependencyError: OpenVINO is not installed.
        """
        if request.precision not in PRECISIONS:
            raise EngineError(f"openvino has no {request.precision} on a CPU; set precision: fp32")
        self.precision, self.input_shape = request.precision, request.input_shape
        openvino = require("openvino")
        graph = graph_of(request)
        try:
            core = openvino.Core()
            model = core.read_model(graph)
            model.reshape({0: list(request.input_shape)})
            speed_up_doubling(model)
            compiled = core.compile_model(model, "CPU", _options(request))
            self._request: Any = compiled.create_infer_request()
        except RuntimeError as error:
            raise EngineError(
                f"openvino cannot load the {request} of {request.folder.path} "
                f"({error}); choose another engine"
            ) from error
        _check_precision(openvino, compiled, request.precision)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        if self._request is None:
            raise closed(self)
        try:
            self._request.infer({0: check_input(self, image)}, share_inputs=True)
        except RuntimeError as error:
            raise EngineError(f"openvino failed ({error}); choose another engine") from error
        return check_output(self, self._request.get_output_tensor(0).data)

    def close(self) -> None:
        """Free the compiled graph."""
        self._request = None


def _options(request: EngineRequest) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        # Without the hint a CPU that has bf16 computes in bf16.
        "INFERENCE_PRECISION_HINT": PRECISIONS[request.precision],
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": request.threads,
        # Pinning would put this process and the trainer on the same core.
        "ENABLE_CPU_PINNING": False,
    }


def _check_precision(openvino: Any, compiled: Any, precision: str) -> None:
    wanted = {"f32": openvino.Type.f32, "bf16": openvino.Type.bf16}[PRECISIONS[precision]]
    given = compiled.get_property("INFERENCE_PRECISION_HINT")
    if given != wanted:
        raise EngineError(
            f"openvino computes in {given} where {precision} was asked for: this "
            "CPU does not have it; set precision: fp32"
        )


def speed_up_doubling(model: Any) -> int:
    """Replace bilinear doubling of an image by nearest doubling and two averages of neighbours.

    The last interpolation takes a fifth of the small network's time in OpenVINO. With
    pixels at their centres, doubling bilinearly is doubling by the nearest pixel, then filtering
    with [1, 2, 1] / 4 along both axes, which is the average of two neighbours, twice; borders
    repeat, as interpolation clamps there.

    Args:
        model: ``openvino.Model`` with a static shape; changed in place.

    Returns:
        Number of interpolations that were replaced.
    """
    operations = require("openvino").opset13
    found = [node for node in model.get_ordered_ops() if _doubles_bilinearly(node)]
    for node in found:
        height, width = _size(node.output(0))
        nearest = operations.interpolate(
            node.input_value(0),
            [height, width],
            "nearest",
            "sizes",
            axes=[2, 3],
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        averaged = operations.pad(nearest, [0, 0, 1, 1], [0, 0, 1, 1], "edge")
        for _ in range(2):
            averaged = operations.avg_pool(
                averaged, [1, 1], [0, 0], [0, 0], [2, 2], True, "floor", "explicit"
            )
        averaged.set_friendly_name(f"{node.get_friendly_name()}/averaged")
        node.output(0).replace(averaged.output(0))
    return len(found)


def _doubles_bilinearly(node: Any) -> bool:
    if node.get_type_name() != "Interpolate":
        return False
    attributes = node.get_attributes()
    before, after = node.input(0).get_partial_shape(), node.output(0).get_partial_shape()
    if before.is_dynamic or after.is_dynamic or len(list(before)) != 4:
        return False
    (height, width), doubled = _size(node.input(0)), _size(node.output(0))
    return (
        attributes["mode"] in ("linear", "linear_onnx")
        and attributes["coordinate_transformation_mode"] == "half_pixel"
        and doubled == (2 * height, 2 * width)
    )


def _size(port: Any) -> tuple[int, int]:
    *_, height, width = port.get_partial_shape().to_shape()
    return int(height), int(width)
