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
    across, down = _ray_parts(intrinsics, transform[:3, :3])
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        x, y, z = (
            (across[axis] + down[axis][:, None]) * depth + transform[axis, 3] for axis in range(3)
        )
        z[~((z > 0) & (z < np.inf))] = np.nan
        x *= np.float32(intrinsics.fx)
        x /= z
        x += np.float32(intrinsics.cx)
        y *= np.float32(intrinsics.fy)
        y /= z
        y += np.float32(intrinsics.cy)
        # NaN lies nowhere
        seen = cv2.remap(
            earlier_depth, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
            borderValue=float("nan"),
        )  # fmt: skip
        change = np.log(seen / z)
    change[np.isinf(change)] = np.nan
    return change


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


def _ray_parts(intrinsics: Intrinsics, rotation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rotated rays with z = 1 as sums, ``(3, w)`` of a column's part and ``(3, h)`` of a row's."""
    columns = (np.arange(intrinsics.width, dtype=np.float32) - intrinsics.cx) / intrinsics.fx
    rows = (np.arange(intrinsics.height, dtype=np.float32) - intrinsics.cy) / intrinsics.fy
    across = rotation[:, :1] * columns.astype(np.float32)
    return across, rotation[:, 1:2] * rows.astype(np.float32) + rotation[:, 2:]
