# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Values to ROS messages, of rclpy's classes or of those of rosbags; neither is imported here."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_codec import message_pixels
from sfm_depth_ros.geometry.frames import matrix_to_pose

_PLUMB_BOB_COEFFICIENTS = 5
_POINT_FIELD_TYPES = {"f4": 7, "u4": 6, "u1": 2}  # of sensor_msgs/PointField


class MessageBuilder:
    """Builds messages from values.

    Args:
        message_class: Looks a class up by its ROS name, for example ``"sensor_msgs/msg/Image"``.
        pack: Packs a one-dimensional array into what the classes take for sequences.
    """

    def __init__(
        self, message_class: Callable[[str], Any], pack: Callable[[np.ndarray], Any]
    ) -> None:
        self._class, self._pack = message_class, pack

    def new(self, type_name: str, **fields: Any) -> Any:
        """A message of any type with the given fields."""
        return self._class(type_name)(**fields)

    def time(self, stamp_ns: int) -> Any:
        """``builtin_interfaces/Time`` of nanoseconds."""
        seconds, nanoseconds = divmod(int(stamp_ns), 10**9)
        return self.new("builtin_interfaces/msg/Time", sec=seconds, nanosec=nanoseconds)

    def header(self, stamp_ns: int, frame_id: str) -> Any:
        """``std_msgs/Header``."""
        return self.new("std_msgs/msg/Header", stamp=self.time(stamp_ns), frame_id=frame_id)

    def image(self, pixels: np.ndarray, encoding: str, header: Any) -> Any:
        """``sensor_msgs/Image``.

        Args:
            pixels: ``(H, W)`` or ``(H, W, 3)``.
            encoding: rgb8, bgr8, mono8, 16UC1 or 32FC1.
            header: Header of the message.

        Raises:
            ValueError: The array's shape does not fit the encoding.
        """
        pixels = message_pixels(pixels, encoding)
        return self.new(
            "sensor_msgs/msg/Image",
            header=header,
            height=pixels.shape[0],
            width=pixels.shape[1],
            encoding=encoding,
            is_bigendian=0,
            step=pixels.strides[0],
            data=self._pack(pixels.reshape(-1).view(np.uint8)),
        )

    def point_cloud(self, points: np.ndarray, header: Any) -> Any:
        """``sensor_msgs/PointCloud2`` in the layout of ``sensor_msgs_py``'s ``create_cloud``.

        Args:
            points: ``(N,)`` structured array, for example of ``x, y, z, rgb`` float32.
            header: Header of the image that the points come from.
        """
        layout = dict(points.dtype.fields or {})
        fields = [
            self.new(
                "sensor_msgs/msg/PointField",
                name=name, offset=offset, datatype=_POINT_FIELD_TYPES[kind.str[1:]], count=1,
            )
            for name, (kind, offset, *_) in layout.items()
        ]  # fmt: skip
        return self.new(
            "sensor_msgs/msg/PointCloud2",
            header=header,
            height=1,
            width=len(points),
            fields=fields,
            is_bigendian=sys.byteorder != "little",
            point_step=points.itemsize,
            row_step=points.itemsize * len(points),
            data=self._pack(points.view(np.uint8)),
            is_dense=False,
        )

    def compressed_image(self, data: bytes, format: str, header: Any) -> Any:
        """``sensor_msgs/CompressedImage`` of a JPEG's or PNG's bytes."""
        packed = self._pack(np.frombuffer(data, np.uint8))
        return self.new(
            "sensor_msgs/msg/CompressedImage", header=header, format=format, data=packed
        )

    def camera_info(self, camera: CameraModel, header: Any) -> Any:
        """``sensor_msgs/CameraInfo``, without binning and region of interest."""
        region = self.new(
            "sensor_msgs/msg/RegionOfInterest",
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False,
        )  # fmt: skip
        D = camera.D
        if not D.size and camera.model == "plumb_bob":
            D = np.zeros(_PLUMB_BOB_COEFFICIENTS)
        return self.new(
            "sensor_msgs/msg/CameraInfo",
            header=header,
            height=camera.height,
            width=camera.width,
            distortion_model=camera.model,
            d=self._pack(D),
            k=camera.K.flatten(),
            r=camera.R.flatten(),
            p=camera.P.flatten(),
            binning_x=0,
            binning_y=0,
            roi=region,
        )

    def odometry(
        self,
        header: Any,
        child_frame_id: str,
        T_frame_child: np.ndarray,
        pose_covariance: np.ndarray | None,
        twist: np.ndarray,
        twist_covariance: np.ndarray | None,
    ) -> Any:
        """``nav_msgs/Odometry``.

        Args:
            header: Stamp, and the frame of the pose.
            child_frame_id: The moving frame, in which the twist is given.
            T_frame_child: ``(4, 4)`` pose, metres.
            pose_covariance: ``(6, 6)``; None = unknown.
            twist: ``(6,)`` linear m/s and angular rad/s.
            twist_covariance: ``(6, 6)``; None = unknown.
        """
        pose = self.new(
            "geometry_msgs/msg/PoseWithCovariance",
            pose=self._pose(T_frame_child),
            covariance=_flat(pose_covariance),
        )
        return self.new(
            "nav_msgs/msg/Odometry",
            header=header,
            child_frame_id=child_frame_id,
            pose=pose,
            twist=self._twist_with_covariance(twist, twist_covariance),
        )

    def twist_with_covariance(
        self, header: Any, twist: np.ndarray, covariance: np.ndarray | None = None
    ) -> Any:
        """``geometry_msgs/TwistWithCovarianceStamped`` of ``(6,)`` in the header's frame."""
        stamped = self._twist_with_covariance(twist, covariance)
        return self.new(
            "geometry_msgs/msg/TwistWithCovarianceStamped", header=header, twist=stamped
        )

    def twist(self, header: Any, twist: np.ndarray) -> Any:
        """``geometry_msgs/TwistStamped`` of ``(6,)`` in the header's frame."""
        return self.new("geometry_msgs/msg/TwistStamped", header=header, twist=self._twist(twist))

    def transform(self, header: Any, child_frame_id: str, T_frame_child: np.ndarray) -> Any:
        """``geometry_msgs/TransformStamped`` of ``(4, 4)`` metres."""
        pose = matrix_to_pose(T_frame_child)
        transform = self.new(
            "geometry_msgs/msg/Transform",
            translation=self._vector(pose[:3]),
            rotation=self._quaternion(pose[3:]),
        )
        return self.new(
            "geometry_msgs/msg/TransformStamped",
            header=header, child_frame_id=child_frame_id, transform=transform,
        )  # fmt: skip

    def _pose(self, T: np.ndarray) -> Any:
        x, y, z, *quaternion = (float(number) for number in matrix_to_pose(T))
        point = self.new("geometry_msgs/msg/Point", x=x, y=y, z=z)
        orientation = self._quaternion(np.array(quaternion))
        return self.new("geometry_msgs/msg/Pose", position=point, orientation=orientation)

    def _twist_with_covariance(self, twist: np.ndarray, covariance: np.ndarray | None) -> Any:
        return self.new(
            "geometry_msgs/msg/TwistWithCovariance",
            twist=self._twist(twist),
            covariance=_flat(covariance),
        )

    def _twist(self, twist: np.ndarray) -> Any:
        linear, angular = self._vector(twist[:3]), self._vector(twist[3:])
        return self.new("geometry_msgs/msg/Twist", linear=linear, angular=angular)

    def _vector(self, xyz: np.ndarray) -> Any:
        x, y, z = (float(number) for number in xyz)
        return self.new("geometry_msgs/msg/Vector3", x=x, y=y, z=z)

    def _quaternion(self, xyzw: np.ndarray) -> Any:
        x, y, z, w = (float(number) for number in xyzw)
        return self.new("geometry_msgs/msg/Quaternion", x=x, y=y, z=z, w=w)


def _flat(covariance: np.ndarray | None) -> np.ndarray:
    """``(36,)`` float64; zeros mean unknown."""
    return np.zeros(36) if covariance is None else np.asarray(covariance, np.float64).reshape(36)
