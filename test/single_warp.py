# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inverse warping of one source, as many tests look at it."""

from __future__ import annotations

from torch import Tensor

from sfm_depth_ros.geometry.pinhole import backproject
from sfm_depth_ros.geometry.warping import WarpResult, warp_sources


def warp(
    source: Tensor,
    target_depth: Tensor,
    K: Tensor,
    T_source_target: Tensor,
    padding: str = "border",
) -> WarpResult:
    """Reconstruct the target from one source image.

    Args:
        source: ``(B, C, H, W)`` image.
        target_depth: ``(B, 1, H, W)`` metres.
        K: ``(B, 3, 3)`` intrinsics of both images in pixels.
        T_source_target: ``(B, 4, 4)``.
        padding: What lies outside the source: ``"border"`` or ``"zeros"``.

    Returns:
        The source as seen from the target.
    """
    return warp_points(source, backproject(target_depth, K), K, T_source_target, padding)


def warp_points(
    source: Tensor, points: Tensor, K: Tensor, T_source_target: Tensor, padding: str = "border"
) -> WarpResult:
    """As ``warp``, from points ``(B, 3, H, W)`` in the target frame, back-projected before."""
    result = warp_sources(source[:, None], points, K, T_source_target[:, None], padding=padding)
    image, grid = result.image[:, 0], result.grid[:, 0]
    return WarpResult(image, result.valid[:, 0], result.depth[:, 0], grid)
