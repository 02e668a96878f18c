# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Publishers of depth_node: depth, camera, confidence, points, landmarks, colours, motion."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import TransformStamped, TwistWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.lifecycle import LifecycleNode
from sensor_msgs.msg import CameraInfo, Image, PointCloud2
from std_msgs.msg import Header

from sfm_depth_ros import optional
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.errors import MissingDependencyError
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.depth_views import depth_to_color, landmark_points
from sfm_depth_ros.estimation.point_gate import PointGate
from sfm_depth_ros.geometry.frames import invert, pose_to_matrix
from sfm_depth_ros.ros import qos
from sfm_depth_ros.ros.conversions import (
    array_to_image,
    depth_pixels,
    intrinsics_to_camera_info,
    odometry_message,
    points_to_cloud,
    transform_message,
    twist_message,
)
from sfm_depth_ros.ros.serialised import RepeatedMessage
from sfm_depth_ros.visual_odometry.ego_motion import EgoMotion, VisualOdometry

_TOPICS: dict[str, Any] = {
    "depth/image_rect": Image,
    "depth/camera_info": CameraInfo,
    "depth/confidence": Image,
    "depth/points": PointCloud2,
    "depth/color": Image,
    "landmarks": PointCloud2,
    "ego_motion/odom": Odometry,
    "ego_motion/twist": TwistWithCovarianceStamped,
}


class DepthOutputs:
    """The publishers, and how a result becomes messages."""

    def __init__(self, node: LifecycleNode, config: DepthNodeConfig) -> None:
        """Make the publishers.

        Raises:
            MissingDependencyError: ``publish_tf`` without tf2.
        """
        self._node = node
        self.config = config
        self._image, self._info = RepeatedMessage(), RepeatedMessage()
        self._broadcaster = _make_broadcaster(node) if config.publish_tf else None
        self._publishers = {
            topic: node.create_lifecycle_publisher(
                kind, topic, qos.output(), qos_overriding_options=qos.overrides()
            )
            for topic, kind in _TOPICS.items()
        }

    @property
    def config(self) -> DepthNodeConfig:
        """The parameters; may be replaced at any time."""
        return self._config

    @config.setter
    def config(self, config: DepthNodeConfig) -> None:
        self._config, self._gate = config, PointGate.of(config)

    def close(self) -> None:
        """Take the publishers back."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self._publishers = {}

    def publish(
        self, result: DepthResult, header: Header, T_base_camera: np.ndarray | None
    ) -> None:
        """Publish depth, its camera, and what else is listened to.

        Args:
            result: The estimator's result for an image.
            header: The input image's header.
            T_base_camera: ``(4, 4)`` mounting of the camera; None while it is not known.
        """
        self._publish_depth(result, header)
        if result.confidence is not None and self._is_wanted("depth/confidence"):
            message = array_to_image(result.confidence, "32FC1", header)
            self._send("depth/confidence", message)
        if result.step is not None and self._is_wanted("landmarks"):
            points = landmark_points(result.step.landmarks)
            self._send("landmarks", points_to_cloud(points, header))
        if self._is_wanted("depth/points"):
            points = result.points(self.config.points_stride, self.config.points_min_confidence)
            cloud = self._gate.apply(points, T_base_camera)
            if cloud is not None:
                self._send("depth/points", points_to_cloud(cloud, header))
        if self._is_wanted("depth/color"):
            self._send("depth/color", array_to_image(depth_to_color(result.depth), "rgb8", header))

    @property
    def wants_confidence(self) -> bool:
        """Whether somebody subscribes to the confidence, or to points that it decides."""
        is_gate = self.config.points_min_confidence > 0
        return self._is_wanted("depth/confidence") or (is_gate and self._is_wanted("depth/points"))

    def publish_motion(
        self, ego_motion: EgoMotion, header: Header, odometry: VisualOdometry
    ) -> None:
        """Publish the robot's motion; may run concurrently with ``publish``, in another thread.

        Args:
            ego_motion: Motion of the camera since the image before.
            header: The input image's header.
            odometry: The path so far; moved on.
        """
        motion = odometry.add(ego_motion)
        base, odom = self.config.base_frame, self.config.odom_frame
        twist, covariance = motion.twist, motion.twist_covariance
        in_base = Header(stamp=header.stamp, frame_id=base)
        self._send("ego_motion/twist", twist_message(in_base, twist, covariance))
        in_odom = Header(stamp=header.stamp, frame_id=odom)
        message = odometry_message(
            in_odom, base, odometry.T_odom_base, odometry.pose_covariance, twist, covariance
        )
        self._send("ego_motion/odom", message)
        if self._broadcaster is not None:
            transform = _inverse_of if self.config.invert_tf else _transform_of
            self._broadcaster.sendTransform(transform(message))

    def _publish_depth(self, result: DepthResult, header: Header) -> None:
        encoding, intrinsics = self.config.depth_encoding, result.intrinsics
        pixels = depth_pixels(result.depth, encoding)
        self._send(
            "depth/image_rect",
            self._image.cdr(
                header,
                (encoding, pixels.shape),
                lambda: array_to_image(pixels, encoding, header),
                pixels,
            ),
        )
        self._send(
            "depth/camera_info",
            self._info.cdr(
                header, intrinsics, lambda: intrinsics_to_camera_info(intrinsics, header)
            ),
        )

    def _is_wanted(self, topic: str) -> bool:
        publisher = self._publishers.get(topic)
        return publisher is not None and publisher.get_subscription_count() > 0

    def _send(self, topic: str, message: Any) -> None:
        publisher = self._publishers.get(topic)
        if publisher is not None:  # gone while the node is being cleaned up
            publisher.publish(message)


def _make_broadcaster(node: LifecycleNode) -> Any:
    if not optional.is_available("tf2_ros"):
        raise MissingDependencyError(
            "publish_tf needs tf2_ros, which comes with a ROS 2 installation and not from PyPI: "
            "type apt install ros-${ROS_DISTRO}-tf2-ros-py, or set publish_tf to false"
        )
    return optional.require("tf2_ros").TransformBroadcaster(node)


def _transform_of(message: Odometry) -> TransformStamped:
    transform = TransformStamped(header=message.header, child_frame_id=message.child_frame_id)
    position, translation = message.pose.pose.position, transform.transform.translation
    translation.x, translation.y, translation.z = position.x, position.y, position.z
    transform.transform.rotation = message.pose.pose.orientation
    return transform


def _inverse_of(message: Odometry) -> TransformStamped:
    """The pose of ``odom_frame`` in ``base_frame``: a leaf of the tree."""
    position, q = message.pose.pose.position, message.pose.pose.orientation
    T = invert(pose_to_matrix([position.x, position.y, position.z, q.x, q.y, q.z, q.w]))
    header = Header(stamp=message.header.stamp, frame_id=message.child_frame_id)
    return transform_message(header, message.header.frame_id, T)
