# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Writing of rosbag2 folders (mcap or sqlite3) without ROS, through rosbags."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.camera.image_files import encode_depth
from sfm_depth_ros.errors import DataError
from sfm_depth_ros.message_builder import MessageBuilder
from sfm_depth_ros.optional import require
from sfm_depth_ros.snippets.values import Velocity

_LATCHED_DEPTH = 100  # several messages may hold the tree; late joiners need each


class BagWriter:
    """One rosbag2 being written; a context manager, which removes the bag after an error.

    Bag time is the message's stamp: a written drive has no transport. ``time_ns`` replaces it for
    messages that belong to a recorded one.
    """

    def __init__(self, path: str | Path, storage: str = "mcap") -> None:
        """Create the bag's folder.

        Args:
            path: Folder to create; must not exist.
            storage: ``"mcap"`` or ``"sqlite3"``.

        Raises:
            DataError: The folder exists already.
        """
        rosbag2, typesys = require("rosbags.rosbag2"), require("rosbags.typesys")
        plugins = {
            "mcap": rosbag2.StoragePlugin.MCAP,
            "sqlite3": rosbag2.StoragePlugin.SQLITE3,
        }
        if storage not in plugins:
            raise ValueError(f"storage: expected one of {', '.join(plugins)}, got {storage!r}")
        if Path(path).exists():
            raise DataError(f"{path} exists already: choose another name or remove it")
        if storage == "sqlite3" and not {"?", "#", "%"}.isdisjoint(str(path)):
            raise DataError(
                f"{path} has a ?, # or %, which sqlite takes for options: choose another name, or "
                "the storage mcap"
            )
        self._path = Path(path)
        self._store = typesys.get_typestore(typesys.Stores.ROS2_JAZZY)
        self._messages = MessageBuilder(self._store.types.__getitem__, np.asarray)
        self._writer = rosbag2.Writer(path, version=9, storage_plugin=plugins[storage])
        self._connections: dict[str, Any] = {}
        self.time_ns: int | None = None  # Bag time of what comes next; None = its stamp
        self._writer.open()

    def __enter__(self) -> BagWriter:
        return self

    def __exit__(self, *error: Any) -> None:
        is_whole = False
        try:
            self._writer.__exit__(*error)  # writes the index where there was no error
            is_whole = error[0] is None
        finally:
            if not is_whole:
                shutil.rmtree(self._path, ignore_errors=True)

    def write_image(
        self,
        stamp_ns: int,
        image: np.ndarray,
        frame_id: str,
        encoding: str = "rgb8",
        topic: str = "/camera/image_raw",
    ) -> None:
        """Write ``sensor_msgs/Image``.

        Args:
            stamp_ns: Time of exposure in nanoseconds.
            image: ``(H, W)`` or ``(H, W, 3)``, already in ``encoding``.
            frame_id: Name of the optical frame.
            encoding: rgb8, bgr8, mono8, 16UC1 or 32FC1.
            topic: Topic name.
        """
        header = self._messages.header(stamp_ns, frame_id)
        self._write(topic, stamp_ns, self._messages.image(image, encoding, header))

    def write_points(self, stamp_ns: int, points: np.ndarray, frame_id: str, topic: str) -> None:
        """Write ``sensor_msgs/PointCloud2`` of a ``(N,)`` structured array."""
        header = self._messages.header(stamp_ns, frame_id)
        self._write(topic, stamp_ns, self._messages.point_cloud(points, header))

    def write_compressed(
        self,
        stamp_ns: int,
        data: bytes,
        frame_id: str,
        format: str = "rgb8; jpeg compressed bgr8",
        topic: str = "/camera/image_raw/compressed",
    ) -> None:
        """Write ``sensor_msgs/CompressedImage`` of a JPEG's or PNG's bytes."""
        header = self._messages.header(stamp_ns, frame_id)
        self._write(topic, stamp_ns, self._messages.compressed_image(data, format, header))

    def write_camera_info(
        self, stamp_ns: int, camera: CameraModel, topic: str = "/camera/camera_info"
    ) -> None:
        """Write ``sensor_msgs/CameraInfo``."""
        header = self._messages.header(stamp_ns, camera.frame_id)
        self._write(topic, stamp_ns, self._messages.camera_info(camera, header))

    def write_odometry(
        self,
        velocity: Velocity,
        T_odom_base: np.ndarray | None = None,
        odom_frame: str = "odom",
        base_frame: str = "base_link",
        topic: str = "/odom",
        *,
        pose_covariance: np.ndarray | None = None,
        twist_covariance: np.ndarray | None = None,
    ) -> None:
        """Write ``nav_msgs/Odometry``: the twist in ``base_frame``, and the pose where known.

        Args:
            velocity: Body velocity and its stamp.
            T_odom_base: ``(4, 4)`` pose of the base in ``odom_frame``, metres; None = identity.
            odom_frame: The header's frame.
            base_frame: The child frame.
            topic: Topic name.
            pose_covariance: ``(6, 6)`` of the pose; None = unknown.
            twist_covariance: ``(6, 6)`` of the twist; None = unknown.
        """
        message = self._messages.odometry(
            self._messages.header(velocity.stamp_ns, odom_frame),
            base_frame,
            np.eye(4) if T_odom_base is None else T_odom_base,
            pose_covariance,
            _twist(velocity),
            twist_covariance,
        )
        self._write(topic, velocity.stamp_ns, message)

    def write_twist(
        self,
        velocity: Velocity,
        with_covariance: bool = False,
        base_frame: str = "base_link",
        topic: str = "/twist",
        covariance: np.ndarray | None = None,
    ) -> None:
        """Write ``geometry_msgs/TwistStamped`` or ``TwistWithCovarianceStamped``.

        Args:
            velocity: Body velocity and its stamp.
            with_covariance: Whether it is the second type.
            base_frame: The header's frame.
            topic: Topic name.
            covariance: ``(6, 6)`` of the second type; None = unknown.
        """
        header, twist = self._messages.header(velocity.stamp_ns, base_frame), _twist(velocity)
        message = (
            self._messages.twist_with_covariance(header, twist, covariance)
            if with_covariance
            else self._messages.twist(header, twist)
        )
        self._write(topic, velocity.stamp_ns, message)

    def write_static_transform(
        self, stamp_ns: int, parent: str, child: str, T_parent_child: np.ndarray
    ) -> None:
        """Write one transform to ``/tf_static``.

        Args:
            stamp_ns: Bag time in nanoseconds; before the first image.
            parent: Frame in which the pose is given.
            child: Frame whose pose it is.
            T_parent_child: ``(4, 4)`` pose of ``child`` in ``parent``, metres.
        """
        header = self._messages.header(stamp_ns, parent)
        stamped = self._messages.transform(header, child, T_parent_child)
        message = self._messages.new("tf2_msgs/msg/TFMessage", transforms=[stamped])
        self._write("/tf_static", stamp_ns, message)

    def write_depth_truth(self, stamp_ns: int, depth: np.ndarray, frame_id: str) -> None:
        """Write true depth as a PNG of 16-bit millimetres.

        Args:
            stamp_ns: The image's stamp in nanoseconds.
            depth: ``(H, W)`` metres of the camera's own image; 0, NaN and beyond 65.5 m = unknown.
            frame_id: Name of the optical frame.
        """
        png, topic = encode_depth(depth), "/ground_truth/depth"
        self.write_compressed(stamp_ns, png, frame_id, "16UC1; png", topic)

    def write_pose_truth(self, stamp_ns: int, T_world_base: np.ndarray) -> None:
        """Write the true pose of the base, ``(4, 4)`` metres, as ``nav_msgs/Odometry``."""
        still = Velocity(stamp_ns, np.zeros(3), np.zeros(3))
        self.write_odometry(still, T_world_base, "odom", "base_link", "/ground_truth/odom")

    def write_serialized(self, topic: str, type_name: str, time_ns: int, cdr: bytes) -> None:
        """Write a message that another bag holds, as it is.

        Args:
            topic: Topic name.
            type_name: ROS type, for example ``"sensor_msgs/msg/Image"``.
            time_ns: Bag time in nanoseconds.
            cdr: The serialised message.

        Raises:
            DataError: The type is none of ROS 2's own, so its definition is not known here.
        """
        if type_name not in self._store.types:
            raise DataError(
                f"{topic} of type {type_name} cannot be copied: its definition is not "
                "known here; copy it with: ros2 bag convert"
            )
        self._writer.write(self._connection(topic, type_name), time_ns, cdr)

    def _write(self, topic: str, stamp_ns: int, message: Any) -> None:
        type_name = message.__msgtype__
        data = self._store.serialize_cdr(message, type_name)
        time_ns = stamp_ns if self.time_ns is None else self.time_ns
        self._writer.write(self._connection(topic, type_name), time_ns, data)

    def _connection(self, topic: str, type_name: str) -> Any:
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, type_name, typestore=self._store, offered_qos_profiles=_offered_qos(topic)
            )
        return self._connections[topic]


def _twist(velocity: Velocity) -> np.ndarray:
    """``(6,)`` linear m/s and angular rad/s."""
    return np.concatenate([velocity.linear, velocity.angular])


def _offered_qos(topic: str) -> list[Any]:
    """``/tf_static`` is latched: players must offer it to late joiners."""
    if topic != "/tf_static":
        return []
    interfaces = require("rosbags.interfaces")
    unlimited = interfaces.QosTime(0, 0)  # what ROS 2 writes where no time is set
    return [
        interfaces.Qos(
            interfaces.QosHistory.KEEP_LAST,
            _LATCHED_DEPTH,
            interfaces.QosReliability.RELIABLE,
            interfaces.QosDurability.TRANSIENT_LOCAL,
            unlimited,
            unlimited,
            interfaces.QosLiveliness.AUTOMATIC,
            unlimited,
            False,
        )
    ]
