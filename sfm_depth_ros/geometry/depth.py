# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""What a network's sigmoid, inverse depth and depth have to do with one another."""

from __future__ import annotations

from torch import Tensor


def disparity_to_depth(disparity: Tensor, min_depth: float, max_depth: float) -> Tensor:
    """Depth in metres of a sigmoid output in [0, 1]: 0 is ``max_depth``, 1 is ``min_depth``.

    Inverse depth is linear in disparity (Monodepth2). Tensors of any shape.
    """
    _check_range(min_depth, max_depth)
    far, near = 1.0 / max_depth, 1.0 / min_depth
    return 1.0 / (far + (near - far) * disparity)


def inverse_depth(depth: Tensor, smallest: float = 1e-6) -> Tensor:
    """1 / depth in 1/m, any shape; depths below ``smallest`` metres count as ``smallest``."""
    return 1.0 / depth.clamp(min=smallest)


def _check_range(min_depth: float, max_depth: float) -> None:
    if not 0.0 < min_depth < max_depth:
        raise ValueError(f"expected 0 < min_depth < max_depth, got {min_depth}, {max_depth}")
