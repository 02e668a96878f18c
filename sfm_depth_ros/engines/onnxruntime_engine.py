# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference by ONNX Runtime on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest, check_input, check_output, closed
from sfm_depth_ros.engines.quantisation import graph_of
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.optional import require


class OnnxRuntimeEngine(Engine):
    """A network in ONNX Runtime, fp32 or int8."""

    name = "onnxruntime"

    def __init__(self, request: EngineRequest) -> None:
        """Build a session for one shape.

        Raises:
            EngineError: The precision or the graph is not supported.
            MissingDependencyError: ONNX Runtime is not installed.
        """
        if request.precision not in ("fp32", "int8"):
            raise EngineError(
                f"onnxruntime has no {request.precision} on a CPU; set precision: "
                "fp32 or engine: openvino"
            )
        self.precision, self.input_shape = request.precision, request.input_shape
        runtime = require("onnxruntime")
        graph = graph_of(request)
        try:
            self._session: Any = runtime.InferenceSession(
                graph, _options(runtime, request), providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors have no common base but Exception
            raise EngineError(
                f"onnxruntime cannot load the {request} of {request.folder.path} "
                f"({error}); choose another engine"
            ) from error
        self._input_name: str = self._session.get_inputs()[0].name

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network, see :class:`~sfm_depth_ros.engines.base.Engine`."""
        if self._session is None:
            raise closed(self)
        try:
            (output,) = self._session.run(None, {self._input_name: check_input(self, image)})
        except RuntimeError as error:
            raise EngineError(f"onnxruntime failed ({error}); choose another engine") from error
        return check_output(self, output)

    def close(self) -> None:
        """Free the session."""
        self._session = None


def _options(runtime: Any, request: EngineRequest) -> Any:
    options = runtime.SessionOptions()
    options.intra_op_num_threads = request.threads
    options.inter_op_num_threads = 1
    options.execution_mode = runtime.ExecutionMode.ORT_SEQUENTIAL
    # Several nodes share a small machine: waiting threads must not burn its cores.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_free_dimension_override_by_name("height", request.input_shape[2])
    options.add_free_dimension_override_by_name("width", request.input_shape[3])
    options.log_severity_level = 3  # errors; they come as exceptions too
    return options
