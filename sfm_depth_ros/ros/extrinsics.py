# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Mounting of the camera on the robot: from TF where tf2 is installed, else from a parameter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.time import Time

from sfm_depth_ros import optional
from sfm_depth_ros.camera.mounting import mounting_fault
from sfm_depth_ros.config.schema import NodeConfig
from sfm_depth_ros.geometry.frames import pose_to_matrix

PERIOD_S = 0.2
_logger = logging.getLogger(__name__)


class Extrinsics:
    """Pose of the camera's optical frame in the base frame.

    TF is looked up until it has the transform, since a state publisher may start after the camera;
    then the listener is closed, for a mounting is rigid and /tf is busy. Until then the pose is
    unknown, unless ``base_to_camera`` was changed from its default: that one is used meanwhile.
    """

    def __init__(
        self, node: Node, config: NodeConfig, on_change: Callable[[np.ndarray | None], None]
    ) -> None:
        """Wait for a camera.

        Args:
            node: The node that listens to TF.
            config: Options ``base_frame`` and ``base_to_camera``.
            on_change: Takes the pose, ``(4, 4)``, or None where it is not known (any more); called
                in the executor's thread.
        """
        self.T_base_camera: np.ndarray | None = None  # (4, 4); None while unknown
        self.source = ""  # Where the pose is from, with the names of the frames
        self.missing = ""  # Why it is unknown, and the remedy; empty where it is known
        self.fault = ""  # What is wrong about it, with the remedy; empty = nothing
        self._node, self._on_change = node, on_change
        self._base_frame, self._camera_frame = config.base_frame.lstrip("/"), ""
        self._parameter = pose_to_matrix(config.base_to_camera)
        self._is_given = config.base_to_camera != type(config)().base_to_camera
        self._buffer: Any = None
        self._listener: Any = None
        self._timer: Any = None
        self._not_found: Any = ()  # What tf2 raises where it has no transform

    @property
    def is_given(self) -> bool:
        """Whether the pose is this robot's: from TF or a changed parameter, not the default."""
        return self.source.startswith("tf") or (bool(self.source) and self._is_given)

    def look_for(self, camera_frame: str) -> None:
        """Find the pose of this frame; called in the executor's thread."""
        camera_frame = camera_frame.lstrip("/")  # names of ROS 1's time; tf2 knows none of them
        if camera_frame == self._camera_frame and (self.source or self._listener is not None):
            return
        self.close()
        self._camera_frame = camera_frame
        if not camera_frame:
            self._use_parameter("camera_info has no frame_id")
        elif not optional.is_available("tf2_ros"):
            self._use_parameter("tf2_ros is not installed")
        else:
            self._listen()

    def close(self) -> None:
        """Stop listening to TF."""
        if self._timer is not None:
            self._node.destroy_timer(self._timer)
        if self._listener is not None:
            self._listener.unregister()
        self._buffer = self._listener = self._timer = None
        self.T_base_camera, self.source, self.missing, self.fault = None, "", "", ""

    def _listen(self) -> None:
        tf2_ros = optional.require("tf2_ros")
        self._not_found = tf2_ros.TransformException
        self._buffer = tf2_ros.Buffer()
        self._listener = tf2_ros.TransformListener(self._buffer, self._node)
        clock = Clock(clock_type=ClockType.STEADY_TIME)
        self._timer = self._node.create_timer(PERIOD_S, self._look_up, clock=clock)
        if self._is_given:
            self._use_parameter("until TF has the transform")
        else:
            self._on_change(None)
            self.missing = (
                f"no transform {self._frames} on /tf or /tf_static: ego-motion and training wait "
                "for it; publish it (robot_state_publisher, static_transform_publisher), or set "
                "base_to_camera"
            )

    def _look_up(self) -> None:
        try:
            found = self._buffer.lookup_transform(self._base_frame, self._camera_frame, Time())
        except self._not_found:
            return
        t, q = found.transform.translation, found.transform.rotation
        pose = pose_to_matrix((t.x, t.y, t.z, q.x, q.y, q.z, q.w))
        before = self.T_base_camera
        self.close()
        if before is not None and not np.allclose(before, pose, atol=1e-3):
            _logger.warning("TF %s differs from base_to_camera: TF is used", self._frames)
        self._use(pose, f"tf {self._frames}")

    def _use_parameter(self, reason: str) -> None:
        self._use(self._parameter, f"parameter base_to_camera {self._frames} ({reason})")

    def _use(self, pose: np.ndarray, source: str) -> None:
        self.T_base_camera, self.source, self.missing = pose, source, ""
        self.fault = mounting_fault(pose)
        if self.fault:
            _logger.warning("%s", self.fault)
        _logger.info("mounting of the camera: %s", source)
        self._on_change(pose)

    @property
    def _frames(self) -> str:
        return f"{self._base_frame} <- {self._camera_frame}"
