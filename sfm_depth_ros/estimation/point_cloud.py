# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Depth image to coloured points, in the memory layout of ``sensor_msgs_py.point_cloud2``."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics

POINT_TYPE = np.dtype([("x", "<f4"), ("y", "<f4"), ("z", "<f4"), ("rgb", "<f4")])


def depth_to_points(
    depth: np.ndarray, image: np.ndarray, intrinsics: Intrinsics, stride: int = 1
) -> np.ndarray:
    """Lift every ``stride``-th pixel with a known depth.

    Args:
        depth: ``(H, W)`` float32 metres; pixels that are not finite or not positive are dropped.
        image: ``(H, W, 3)`` uint8 RGB of the same camera.
        intrinsics: Camera of both.
        stride: Step between pixels, in both directions.

    Returns:
        ``(N,)`` array of ``POINT_TYPE``: x right, y down, z forward in metres (optical frame),
        and the colour packed as 0x00RRGGBB in the bits of a float.
    """
    if image.shape[:2] != depth.shape:
        raise ValueError(f"depth is {depth.shape}, image is {image.shape}")
    z = depth[::stride, ::stride]
    with np.errstate(invalid="ignore"):
        rows, columns = np.nonzero(np.isfinite(z) & (z > 0))
    z = z[rows, columns]
    points = np.empty(len(z), dtype=POINT_TYPE)
    points["x"] = (columns * stride - intrinsics.cx) / intrinsics.fx * z
    points["y"] = (rows * stride - intrinsics.cy) / intrinsics.fy * z
    points["z"] = z
    points["rgb"] = _packed(image[rows * stride, columns * stride])
    return points


def _packed(rgb: np.ndarray) -> np.ndarray:
    """``(N, 3)`` uint8 as ``(N,)`` float32 with the same bits as 0x00RRGGBB."""
    channels = rgb.astype(np.uint32)
    packed = (channels[:, 0] << 16) | (channels[:, 1] << 8) | channels[:, 2]
    return packed.astype(np.uint32).view(np.float32)
