# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values to messages for a bag (of whichever library made the message classes)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sfm_depth_ros.geometry.frames import matrix_to_pose
from sfm_depth_ros.snippets.values import Velocity


class BagMessages:
    """Builds the nested parts of ROS messages from numpy values."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        """Take the message classes by their ROS name."""
        self._types = types

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message of any type."""
        return self._types[type_name](**fields)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """``std_msgs/Header``."""
        seconds, nanoseconds = divmod(int(stamp_ns), 10**9)
        stamp = self.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)
        return self.new("std_msgs/msg/Header", stamp=stamp, frame_id=frame_id)

    def vector(self, xyz: Sequence[float] | np.ndarray) -> Any:
        """``geometry_msgs/Vector3``."""
        x, y, z = (float(number) for number in xyz)
        return self.new("geometry_msgs/msg/Vector3", x=x, y=y, z=z)

    def quaternion(self, xyzw: Sequence[float] | np.ndarray) -> Any:
        """``geometry_msgs/Quaternion``."""
        x, y, z, w = (float(number) for number in xyzw)
        return self.new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)

    def pose(self, T: np.ndarray) -> Any:
        """``geometry_msgs/Pose`` of ``(4, 4)`` metres."""
        x, y, z, *quaternion = (float(number) for number in matrix_to_pose(T))
        point = self.new("geometry_msgs/msg/Point", x=x, y=y, z=z)
        orientation = self.quaternion(quaternion)
        return self.new("geometry_msgs/msg/Pose", position=point, orientation=orientation)

    def transform(self, T: np.ndarray) -> Any:
        """``geometry_msgs/Transform`` of ``(4, 4)`` metres."""
        pose = matrix_to_pose(T)
        return self.new(
            "geometry_msgs/msg/Transform",
            translation=self.vector(pose[:3]),
            rotation=self.quaternion(pose[3:]),
        )

    def twist(self, velocity: Velocity) -> Any:
        """``geometry_msgs/Twist``."""
        return self.new(
            "geometry_msgs/msg/Twist",
            linear=self.vector(velocity.linear),
            angular=self.vector(velocity.angular),
        )

    def twist_with_covariance(
        self, velocity: Velocity, covariance: np.ndarray | None = None
    ) -> Any:
        """``geometry_msgs/TwistWithCovariance``; no ``(6, 6)`` covariance = zeros = unknown."""
        return self.new(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=self.twist(velocity),
            covariance=_flat(covariance),
        )

    def pose_with_covariance(self, T: np.ndarray, covariance: np.ndarray | None = None) -> Any:
        """``geometry_msgs/PoseWithCovariance``; no ``(6, 6)`` covariance = zeros = unknown."""
        return self.new(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=self.pose(T),
            covariance=_flat(covariance),
        )


def _flat(covariance: np.ndarray | None) -> np.ndarray:
    return np.zeros(36) if covariance is None else np.asarray(covariance, np.float64).reshape(36)
