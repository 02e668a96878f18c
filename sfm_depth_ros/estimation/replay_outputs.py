# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Outputs of a replay, written into a bag as depth_node publishes them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from sfm_depth_ros.bags.rig import BagRig
from sfm_depth_ros.bags.writer import BagWriter
from sfm_depth_ros.camera.camera_model import CameraModel
from sfm_depth_ros.config.schema import DepthNodeConfig
from sfm_depth_ros.estimation.depth_result import DepthResult
from sfm_depth_ros.estimation.depth_views import depth_to_color, landmark_points
from sfm_depth_ros.estimation.output_topics import (
    DEFAULT_EXTRAS,
    DEPTH_INFO_TOPIC,
    DEPTH_TOPIC,
    EXTRAS,
    ODOMETRY_TOPIC,
    TWIST_TOPIC,
)
from sfm_depth_ros.estimation.point_gate import PointGate
from sfm_depth_ros.estimation.rerun_log import RerunLog
from sfm_depth_ros.snippets.values import Velocity
from sfm_depth_ros.visual_odometry.ego_motion import VisualOdometry


class Recorder:
    """Writes results as depth_node publishes them.

    Args:
        writer: The bag.
        rig: Mounting and frames.
        config: ``odom_frame``, ``depth_encoding`` and the ``points_...`` count.
        extras: Some of ``EXTRAS``.
        log: A recording of Rerun that gets the results too.
    """

    def __init__(
        self,
        writer: BagWriter,
        rig: BagRig,
        config: DepthNodeConfig,
        extras: Collection[str] = DEFAULT_EXTRAS,
        log: RerunLog | None = None,
    ) -> None:
        self._writer, self._config, self._extras = writer, config, frozenset(extras)
        self._log = log
        self._base_frame, self._T_base_camera = rig.base_frame, rig.T_base_camera
        self._odometry, self._gate = VisualOdometry(rig.T_base_camera), PointGate.of(config)

    @property
    def topics(self) -> list[str]:
        """Topics that are written."""
        extras = [topic for name, topic in EXTRAS.items() if name in self._extras]
        return [DEPTH_TOPIC, DEPTH_INFO_TOPIC, ODOMETRY_TOPIC, TWIST_TOPIC, *extras]

    def begin(self, time_ns: int) -> None:
        """Set the bag time in nanoseconds of all that is written next."""
        self._writer.time_ns = time_ns

    def write_depth(self, result: DepthResult) -> None:
        """The depth image, the camera_info of exactly that image, and the extras."""
        if self._log is not None:
            self._log.write(result)
        encoding = self._config.depth_encoding
        self._write_image(result, result.depth_as(encoding), encoding, DEPTH_TOPIC)
        camera = CameraModel.from_intrinsics(result.intrinsics, result.frame_id)
        self._writer.write_camera_info(result.stamp_ns, camera, DEPTH_INFO_TOPIC)
        if "color" in self._extras:
            self._write_image(result, depth_to_color(result.depth), "rgb8", EXTRAS["color"])
        if "confidence" in self._extras and result.confidence is not None:
            self._write_image(result, result.confidence, "32FC1", EXTRAS["confidence"])
        if "landmarks" in self._extras and result.step is not None:
            self._write_points(result, landmark_points(result.step.landmarks), "landmarks")
        if "points" in self._extras:
            config = self._config
            points = result.points(config.points_stride, config.points_min_confidence)
            cloud = self._gate.apply(points, self._T_base_camera)
            self._write_points(result, points if cloud is None else cloud, "points")

    def write_motion(self, result: DepthResult) -> bool:
        """The pose so far and the twist; False where the image has no pair."""
        if result.ego_motion is None:
            return False
        base = self._odometry.add(result.ego_motion)
        linear, angular = np.split(base.twist, 2)
        velocity = Velocity(result.stamp_ns, linear, angular)
        self._writer.write_odometry(
            velocity,
            self._odometry.T_odom_base,
            self._config.odom_frame,
            self._base_frame,
            ODOMETRY_TOPIC,
            pose_covariance=self._odometry.pose_covariance,
            twist_covariance=base.twist_covariance,
        )
        self._writer.write_twist(
            velocity, True, self._base_frame, TWIST_TOPIC, covariance=base.twist_covariance
        )
        return True

    def _write_image(
        self, result: DepthResult, pixels: np.ndarray, encoding: str, topic: str
    ) -> None:
        self._writer.write_image(result.stamp_ns, pixels, result.frame_id, encoding, topic)

    def _write_points(self, result: DepthResult, points: np.ndarray, name: str) -> None:
        self._writer.write_points(result.stamp_ns, points, result.frame_id, EXTRAS[name])
