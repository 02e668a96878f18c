# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inference by OpenVINO on the CPU."""

from __future__ import annotations

from typing import Any

import numpy as np

from sfm_depth_ros.engines.base import check_input, check_output, closed
from sfm_depth_ros.errors import EngineError
from sfm_depth_ros.networks.model_folder import ModelFolder
from sfm_depth_ros.optional import require

PRECISIONS = {"fp32": "f32", "bf16": "bf16"}


class OpenVinoEngine:
    """A network in OpenVINO, fp32 or bf16."""

    name = "openvino"

    def __init__(
        self,
        folder: ModelFolder,
        network: str,
        input_shape: tuple[int, int, int, int],
        precision: str = "fp32",
        threads: int = 1,
    ) -> None:
        """Compile the graph for one shape.

        Args:
            folder: Model with the graph.
            network: ``"depth"`` or ``"pose"``.
            input_shape: ``(1, C, H, W)``.
            precision: ``"fp32"``, or ``"bf16"`` on a CPU that has it.
            threads: CPU threads.

        Raises:
            EngineError: The precision or the graph is not supported.
            MissingDependencyError: OpenVINO is not installed.
        """
        if precision not in PRECISIONS:
            raise EngineError(f"openvino has no {precision} on a CPU; set precision: fp32")
        self.precision = precision
        self.input_shape = input_shape
        openvino = require("openvino")
        try:
            core = openvino.Core()
            model = core.read_model(folder.onnx(network))
            model.reshape({0: list(input_shape)})
            compiled = core.compile_model(model, "CPU", _options(precision, threads))
            self._request: Any = compiled.create_infer_request()
        except RuntimeError as error:
            raise EngineError(f"openvino cannot load {folder.onnx(network)} at {input_shape} "
                              f"({error}); choose another engine") from error
        _check_precision(openvino, compiled, precision)

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


def _options(precision: str, threads: int) -> dict[str, Any]:
    return {
        "PERFORMANCE_HINT": "LATENCY",
        # Without the hint a CPU that has bf16 computes in bf16 unasked.
        "INFERENCE_PRECISION_HINT": PRECISIONS[precision],
        "NUM_STREAMS": 1,
        "INFERENCE_NUM_THREADS": threads,
        # Pinning would put this process and the trainer on the same core.
        "ENABLE_CPU_PINNING": False,
    }


def _check_precision(openvino: Any, compiled: Any, precision: str) -> None:
    wanted = {"fp32": openvino.Type.f32, "bf16": openvino.Type.bf16}[precision]
    given = compiled.get_property("INFERENCE_PRECISION_HINT")
    if given != wanted:
        raise EngineError(f"openvino computes in {given} where {precision} was asked for: this "
                          "CPU does not have it; set precision: fp32")
