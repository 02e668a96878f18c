# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Where the camera sits on the robot: tf2 where it is installed, else a parameter."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.time import Time

from sfm_depth_ros import optional

_logger = logging.getLogger(__name__)
Pose = tuple[float, ...]


class Extrinsics:
    """Looks the camera's pose in the base frame up.

    Attributes:
        source: ``"parameter"``, ``"tf"``, or why the parameter is used although tf2 is there.
    """

    def __init__(self, node: Node, base_frame: str, fallback: Pose) -> None:
        """Listen to TF where tf2 is installed.

        Args:
            node: The node that listens.
            base_frame: Robot body frame.
            fallback: Pose ``(x, y, z, qx, qy, qz, qw)`` used where TF has none.
        """
        self.source = "parameter"
        self._base_frame, self._fallback = base_frame, fallback
        self._buffer: Any = None
        if optional.is_available("tf2_ros"):
            tf2_ros = optional.require("tf2_ros")
            self._buffer = tf2_ros.Buffer()
            self._listener = tf2_ros.TransformListener(self._buffer, node)

    def base_to_camera(self, camera_frame: str, timeout_s: float = 2.0) -> Pose:
        """Pose ``(x, y, z, qx, qy, qz, qw)`` of the optical frame in the base frame.

        Waits for TF up to ``timeout_s`` seconds, so it is not for the executor's thread.
        """
        if self._buffer is None:
            return self._fallback
        try:
            found = self._buffer.lookup_transform(
                self._base_frame, camera_frame, Time(), Duration(seconds=timeout_s)
            )
        except Exception as error:  # tf2's exceptions derive from Exception directly
            self.source = f"parameter (no transform {self._base_frame} <- {camera_frame})"
            _logger.warning(
                "no transform from %s to %s (%s): base_to_camera is used instead",
                camera_frame,
                self._base_frame,
                error,
            )
            return self._fallback
        self.source = "tf"
        t, q = found.transform.translation, found.transform.rotation
        return tuple(np.array([t.x, t.y, t.z, q.x, q.y, q.z, q.w]).tolist())
