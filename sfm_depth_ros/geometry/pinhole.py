# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""The pinhole camera on tensors: back-projection, projection, and how K follows the image.

Pixel centres lie at integers; K has no skew.
"""

from __future__ import annotations

import torch
from torch import Tensor

MIN_Z = 1e-5  # metres: points nearer than this, or behind the camera, have no pixel


def pixel_grid(height: int, width: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Columns ``(1, W)`` and rows ``(H, 1)`` of an image, in ``like``'s dtype and device."""
    columns = torch.arange(width, dtype=like.dtype, device=like.device)
    rows = torch.arange(height, dtype=like.dtype, device=like.device)
    return columns[None, :], rows[:, None]


def backproject(depth: Tensor, K: Tensor) -> Tensor:
    """Points that an image of depths shows.

    Args:
        depth: ``(B, 1, H, W)`` metres along the optical axis.
        K: ``(B, 3, 3)`` intrinsics in pixels at that size.

    Returns:
        ``(B, 3, H, W)`` metres in the camera's optical frame.
    """
    if depth.ndim != 4 or depth.shape[1] != 1:
        raise ValueError(f"expected depth (B, 1, H, W), got {tuple(depth.shape)}")
    check_intrinsics(K, depth.shape[0])
    columns, rows = pixel_grid(depth.shape[-2], depth.shape[-1], like=depth)
    focal, centre = _focal_and_centre(K)
    x = (columns - centre[:, 0]) / focal[:, 0]  # (B, 1, W)
    y = (rows - centre[:, 1]) / focal[:, 1]  # (B, H, 1)
    return torch.cat([depth * x[:, None], depth * y[:, None], depth], dim=1)


def project(points: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
    """Pixels that points fall on.

    Args:
        points: ``(B, 3, H, W)`` metres in the camera's optical frame.
        K: ``(B, 3, 3)`` intrinsics in pixels.

    Returns:
        Pixels ``(B, H, W, 2)`` as column, row, and depth ``(B, 1, H, W)`` in metres. The pixel of
        a point that is not in front of the camera (depth < ``MIN_Z``) means nothing.
    """
    if points.ndim != 4 or points.shape[1] != 3:
        raise ValueError(f"expected points (B, 3, H, W), got {tuple(points.shape)}")
    check_intrinsics(K, points.shape[0])
    focal, centre = _focal_and_centre(K)
    z = points[:, 2:]
    pixels = points[:, :2] * z.clamp(min=MIN_Z).reciprocal() * focal + centre
    return pixels.permute(0, 2, 3, 1), z


def flip_intrinsics(K: Tensor, width: int) -> Tensor:
    """K ``(..., 3, 3)`` after mirroring an image of ``width`` pixels left to right."""
    flipped = K.clone()
    flipped[..., 0, 2] = width - 1 - K[..., 0, 2]
    return flipped


def check_intrinsics(K: Tensor, batch: int) -> None:
    """Refuse K that is not ``(batch, 3, 3)``.

    Raises:
        ValueError: K has another shape.
    """
    if K.shape != (batch, 3, 3):
        raise ValueError(f"expected K ({batch}, 3, 3), got {tuple(K.shape)}")


def _focal_and_centre(K: Tensor) -> tuple[Tensor, Tensor]:
    """Focal lengths and principal points as (x, y), each ``(B, 2, 1, 1)``."""
    focal = torch.diagonal(K[:, :2, :2], dim1=1, dim2=2)
    return focal[..., None, None], K[:, :2, 2, None, None]
