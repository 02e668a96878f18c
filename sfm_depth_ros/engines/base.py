# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The protocol every inference engine follows."""

from __future__ import annotations

from typing import Protocol

import numpy as np


class Engine(Protocol):
    """One network, ready to run at one input shape.

    Attributes:
        name: ``"torch"``, ``"onnxruntime"``, ``"openvino"``, ``"tensorrt"``.
        precision: ``"fp32"``, ``"bf16"``, ``"fp16"``, as it really computes.
        input_shape: ``(N, C, H, W)`` that the engine was built for.
    """

    name: str
    precision: str
    input_shape: tuple[int, int, int, int]

    def infer(self, image: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            image: ``input_shape`` float32 in [0, 1], RGB.

        Returns:
            The network's output, float32, a fresh array.

        Raises:
            EngineError: The engine failed or answered NaN.
        """
        ...

    def close(self) -> None:
        """Free what the engine holds; calling it twice is harmless."""
        ...
