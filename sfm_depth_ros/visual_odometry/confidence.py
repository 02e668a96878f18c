# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Confidence of every pixel's depth: the probability that its error is below a tolerance.

The variance of log depth adds up from three sources: what landmarks leave open (distance from
them, and how much they still differ), disagreement with the depth before, and depth edges, where
a pixel may belong to either side. Errors are taken as Laplacian, which has the heavier tails that
depth networks have.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.correction_field import VARIANCE_STEP
from sfm_depth_ros.visual_odometry.temporal import log_depth_change

TOLERANCE = 1.0  # metres
_OWN_VARIANCE = 0.3**2  # of log depth, of a network without landmarks
_STEP = VARIANCE_STEP  # pixels; variance is computed at every second one
_SMOOTHING = (5, 5)  # pixels of the smaller image
_LARGEST_CHANGE = 1.0  # in log depth; more is an occlusion
_EDGE = np.ones((3, 3), np.uint8)
_EDGE_SMOOTHING = (2, 2)
_EPSILON = np.float32(1e-6)


class DepthConfidence:
    """Confidence of one camera's depth, image by image; not thread-safe.

    Args:
        tolerance: Error in metres that a depth may have to be right.
    """

    def __init__(self, tolerance: float = TOLERANCE) -> None:
        if not tolerance > 0:
            raise ValueError(f"tolerance is {tolerance}, expected metres > 0")
        self._scale = math.sqrt(2.0) * tolerance
        self._earlier: np.ndarray | None = None

    def clear(self) -> None:
        """Forget the image before (a jump in time, another model)."""
        self._earlier = None

    def assess(
        self,
        depth: np.ndarray,
        log_variance: np.ndarray | None,
        intrinsics: Intrinsics,
        T_earlier_later: np.ndarray | None,
    ) -> np.ndarray:
        """Confidence of the next depth image.

        Args:
            depth: ``(h, w)`` float32 metres, NaN or +Inf where there is none.
            log_variance: float32 variance of log depth by landmarks, at every second pixel and
                row; None without.
            intrinsics: Camera of ``depth``.
            T_earlier_later: ``(4, 4)`` pose of this camera in the one before, metres; None where
                it is not known.

        Returns:
            ``(h, w)`` float32 in [0, 1], 0 where there is no depth.
        """
        known = (depth > 0) & (depth < np.inf)  # NaN is neither
        all_known = bool(known.all())
        usable = depth if all_known else np.where(known, depth, np.float32(1))
        small = np.ascontiguousarray(depth[::_STEP, ::_STEP])
        variance = _edge_variance(usable)
        variance += np.float32(_OWN_VARIANCE) if log_variance is None else log_variance
        disagreement = self._disagreement(small, intrinsics, T_earlier_later)
        self._earlier = small
        if disagreement is not None:
            variance += disagreement
        deviation = cv2.resize(np.sqrt(variance + _EPSILON), depth.shape[::-1])
        deviation *= usable
        np.divide(np.float32(-self._scale), deviation, out=deviation)
        np.expm1(deviation, out=deviation)
        np.negative(deviation, out=deviation)
        return deviation if all_known else np.where(known, deviation, np.float32(0))

    def _disagreement(
        self, small: np.ndarray, intrinsics: Intrinsics, T_earlier_later: np.ndarray | None
    ) -> np.ndarray | None:
        """Mean square change of log depth around each pixel of the small image."""
        earlier = self._earlier
        if earlier is None or T_earlier_later is None or earlier.shape != small.shape:
            return None
        camera = Intrinsics(
            intrinsics.fx / _STEP,
            intrinsics.fy / _STEP,
            intrinsics.cx / _STEP,
            intrinsics.cy / _STEP,
            small.shape[1],
            small.shape[0],
        )
        change = log_depth_change(small, earlier, camera, T_earlier_later)
        square = np.clip(np.nan_to_num(change), -_LARGEST_CHANGE, _LARGEST_CHANGE) ** 2
        return np.asarray(cv2.blur(square, _SMOOTHING))


def _edge_variance(depth: np.ndarray) -> np.ndarray:
    """Square of half the logarithmic range of depth within one pixel, at every second one."""
    farthest, nearest = (
        np.ascontiguousarray(extreme(depth, _EDGE)[::_STEP, ::_STEP])
        for extreme in (cv2.dilate, cv2.erode)
    )
    half_range = 0.5 * np.log(farthest / nearest)
    return np.asarray(cv2.blur(half_range * half_range, _EDGE_SMOOTHING))
