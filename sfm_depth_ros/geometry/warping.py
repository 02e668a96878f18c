# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Inverse warping: sample a source image where the target's points fall in it.

Grids follow ``align_corners=True``: pixel centres at integers, -1 and 1 at the outermost centres.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from sfm_depth_ros.geometry.pinhole import MIN_Z, backproject, check_intrinsics

_EDGE = 1.0 + 1e-5  # half a hundredth of a pixel of rounding at the image's edge is forgiven


@dataclass(frozen=True)
class WarpResult:
    """A source image as seen from the target.

    Attributes:
        image: ``(B, C, H, W)`` (with several sources ``(B, S, C, H, W)``) sampled source.
        valid: ``(B, 1, H, W)`` (``(B, S, 1, H, W)``) bool, whether the target's point is in front
            of the source camera and inside its image.
        depth: ``(B, 1, H, W)`` (``(B, S, 1, H, W)``) metres, depth of the target's points in the
            source frame.
    """

    image: Tensor
    valid: Tensor
    depth: Tensor


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
    result = warp_sources(source[:, None], points, K, T_source_target[:, None], padding)
    return WarpResult(result.image[:, 0], result.valid[:, 0], result.depth[:, 0])


def warp_sources(
    sources: Tensor, points: Tensor, K: Tensor, T_source_target: Tensor, padding: str = "border"
) -> WarpResult:
    """Reconstruct the target from each of several sources with one back-projection.

    Args:
        sources: ``(B, S, C, H, W)`` images.
        points: ``(B, 3, H', W')`` metres in the target frame.
        K: ``(B, 3, 3)`` intrinsics of the sources in pixels.
        T_source_target: ``(B, S, 4, 4)``.
        padding: What lies outside the source: ``"border"`` or ``"zeros"``.

    Returns:
        The sources as seen from the target.
    """
    _check_shapes(sources, points, K, T_source_target)
    (batch, count), (height, width) = sources.shape[:2], points.shape[-2:]
    projection = _grid_projection(K, *sources.shape[-2:]) @ T_source_target[:, :, :3]
    turn = projection[..., :3].reshape(batch, 3 * count, 3)
    shift = projection[..., 3].reshape(batch, 3 * count, 1)
    projected = torch.baddbmm(shift, turn, points.flatten(2))  # (B, 3 S, H W)
    projected = projected.view(batch * count, 3, height, width)
    xy, z = projected.split((2, 1), dim=1)
    grid = xy * z.clamp(min=MIN_Z).reciprocal()
    image = functional.grid_sample(
        sources.flatten(0, 1), grid.permute(0, 2, 3, 1),
        mode="bilinear", padding_mode=padding, align_corners=True,
    )  # fmt: skip
    with torch.no_grad():
        valid = (grid.abs().amax(1, keepdim=True) <= _EDGE) & (z > MIN_Z)
    split = (batch, count)
    return WarpResult(image.unflatten(0, split), valid.unflatten(0, split), z.unflatten(0, split))


def _grid_projection(K: Tensor, height: int, width: int) -> Tensor:
    """K ``(B, 1, 3, 3)`` that projects to sampling coordinates in [-1, 1] instead of pixels."""
    sx, sy = 2.0 / max(width - 1, 1), 2.0 / max(height - 1, 1)
    to_grid = K.new_tensor([[sx, 0.0, -1.0], [0.0, sy, -1.0], [0.0, 0.0, 1.0]])
    return (to_grid @ K)[:, None]


def _check_shapes(sources: Tensor, points: Tensor, K: Tensor, T_source_target: Tensor) -> None:
    if sources.ndim != 5:
        raise ValueError(f"expected source images (B, S, C, H, W), got {tuple(sources.shape)}")
    batch, count = sources.shape[:2]
    if points.ndim != 4 or points.shape[:2] != (batch, 3):
        raise ValueError(f"expected points ({batch}, 3, H, W), got {tuple(points.shape)}")
    if T_source_target.shape != (batch, count, 4, 4):
        raise ValueError(
            f"expected T_source_target ({batch}, {count}, 4, 4), "
            f"got {tuple(T_source_target.shape)}"
        )
    check_intrinsics(K, batch)
