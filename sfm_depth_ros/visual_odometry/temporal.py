# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Successive depth images of a moving camera, compared by warping."""

from __future__ import annotations

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics

_OCCLUDED = 0.3  # in log depth; what is so much nearer in the image before hides the pixel


def log_depth_change(
    depth: np.ndarray,
    earlier_depth: np.ndarray,
    intrinsics: Intrinsics,
    T_earlier_later: np.ndarray,
) -> np.ndarray:
    """Logarithm of the earlier depth image over what this one predicts it to be.

    Each pixel is lifted with its depth, carried to the earlier camera and compared with the depth
    there (nearest pixel).

    Args:
        depth: ``(h, w)`` float32 metres; NaN and +Inf have no change.
        earlier_depth: ``(h, w)`` float32 metres of the image before.
        intrinsics: Camera of both.
        T_earlier_later: ``(4, 4)`` pose of this camera in the earlier one, metres.

    Returns:
        ``(h, w)`` float32, NaN where either depth is unknown, or the pixel was outside of the
        earlier image.
    """
    transform = T_earlier_later.astype(np.float32)
    rays = _rays(intrinsics) @ transform[:3, :3].T
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        points = rays * depth[..., None] + transform[:3, 3]
        predicted = np.where(points[..., 2] > 0, points[..., 2], np.float32(np.nan))
        columns = points[..., 0] / predicted * np.float32(intrinsics.fx)
        rows = points[..., 1] / predicted * np.float32(intrinsics.fy)
        columns += np.float32(intrinsics.cx)
        rows += np.float32(intrinsics.cy)
        inside = (columns > -0.5) & (columns < intrinsics.width - 0.5)
        inside &= (rows > -0.5) & (rows < intrinsics.height - 0.5)
        columns, rows = np.where(inside, columns, 0), np.where(inside, rows, 0)
        seen = cv2.remap(earlier_depth, columns, rows, cv2.INTER_NEAREST)
        change = np.log(seen / predicted)
    return np.where(inside & np.isfinite(change), change, np.float32(np.nan))


def relative_difference(change: np.ndarray, static: np.ndarray | None = None) -> float | None:
    """Temporal consistency of one image: median of |earlier / predicted - 1|.

    Args:
        change: Of ``log_depth_change``.
        static: ``(h, w)`` bool, pixels of things that stand still; None = all.

    Returns:
        The difference without pixels that something nearer hid before, or None where nothing can
        be compared. 0 = the depth does not swim at all.
    """
    with np.errstate(invalid="ignore"):
        compared = change > -_OCCLUDED
    if static is not None:
        compared &= static
    if not compared.any():
        return None
    return float(np.median(np.abs(np.expm1(change[compared]))))


def _rays(intrinsics: Intrinsics) -> np.ndarray:
    """``(h, w, 3)`` float32 with z = 1."""
    columns = (np.arange(intrinsics.width, dtype=np.float32) - intrinsics.cx) / intrinsics.fx
    rows = (np.arange(intrinsics.height, dtype=np.float32) - intrinsics.cy) / intrinsics.fy
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    return np.stack((x, y, np.ones_like(x)), axis=-1)
