# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Operations of torch in fewer ONNX operations than the exporter's own translation takes.

Its ELU multiplies whole feature maps by one twice, and its group norm makes its constants anew
for every image; no engine that was tried removes that.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from sfm_depth_ros.optional import require


def translations() -> dict[Any, Callable[..., Any]]:
    """The exporter's ``custom_translation_table``."""
    onnx, op = require("onnx"), require("onnxscript").opset18

    def constant(values: Any) -> Any:
        return op.Constant(value=onnx.numpy_helper.from_array(values))

    def elu(x: Any, alpha: float = 1.0, scale: float = 1.0, input_scale: float = 1.0) -> Any:
        if (scale, input_scale) != (1.0, 1.0):
            raise NotImplementedError(f"ELU scaled by {scale} and {input_scale}")
        return op.Elu(x, alpha=alpha)

    def group_norm(
        x: Any,
        num_groups: int,
        weight: Any,
        bias: Any,
        eps: float = 1e-5,
        cudnn_enabled: bool = True,
    ) -> Any:
        # ONNX has an operation of this name, whose first version scaled by group.
        grouped = op.Reshape(x, constant(np.array([0, num_groups, -1])))
        one = constant(np.ones(num_groups, np.float32))
        zero = constant(np.zeros(num_groups, np.float32))
        normal = op.InstanceNormalization(grouped, one, zero, epsilon=eps)
        axes = constant(np.array([1, 2]))
        whole = op.Reshape(normal, op.Shape(x))
        return op.Add(op.Mul(whole, op.Unsqueeze(weight, axes)), op.Unsqueeze(bias, axes))

    return {torch.ops.aten.elu.default: elu, torch.ops.aten.group_norm.default: group_norm}
