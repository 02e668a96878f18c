# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""An engine as somebody would add it: this file, and a row in the table of engines."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.engines.base import Engine, EngineRequest
from sfm_depth_ros.engines.onnxruntime_engine import OnnxRuntimeEngine
from sfm_depth_ros.optional import require


class ToyEngine(Engine):
    """Computes with ONNX Runtime; defines no more than it must."""

    name = "toy"

    def __init__(self, request: EngineRequest) -> None:
        require("toy_runtime")
        self.precision, self.input_shape = request.precision, request.input_shape
        self._inner = OnnxRuntimeEngine(request)

    def infer(self, image: np.ndarray) -> np.ndarray:
        """As ONNX Runtime."""
        return self._inner.infer(image)

    def close(self) -> None:
        """Free the session."""
        self._inner.close()
