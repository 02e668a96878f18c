# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Camera motion and landmarks from one image after another."""

from __future__ import annotations

import numpy as np

from sfm_depth_ros.data.velocity import VelocityBuffer
from sfm_depth_ros.geometry.camera import Intrinsics
from sfm_depth_ros.visual_odometry.odometry_step import MotionPrior, OdometryStep

MODES = ("visual", "fused", "network")


class VisualOdometer:
    """Tracks one camera; not thread-safe.

    Args:
        velocities: The odometer's memory, which may lag behind the images; None without odometer.
        mode: ``visual`` takes only the length of the displacement from the odometer,
            ``fused`` its rotation too, ``network`` publishes the pose network's motion
            (landmarks are still triangulated).
    """

    def __init__(self, velocities: VelocityBuffer | None, mode: str = "fused") -> None:
        if mode not in MODES:
            raise ValueError(f"mode is {mode!r}, expected one of {', '.join(MODES)}")
        self._velocities = velocities
        self._mode = mode

    def advance(
        self,
        grey: np.ndarray,
        stamp_ns: int,
        intrinsics: Intrinsics,
        *,
        valid: np.ndarray | None = None,
        network: MotionPrior | None = None,
    ) -> OdometryStep:
        """Take the next image.

        A stamp that jumps, other intrinsics or a cut reset by themselves and are remarked.

        Args:
            grey: ``(H, W)`` uint8 rectified image at the tracking width.
            stamp_ns: Time of exposure in nanoseconds.
            intrinsics: Camera of exactly this image.
            valid: ``(H, W)`` bool, False where the image has no source; None = all valid.
            network: The pose network's motion from the image before to this one.
        """
        raise NotImplementedError

    def reset(self) -> None:
        """Drop tracks, landmarks and window; statistics of the odometer stay."""
        raise NotImplementedError
