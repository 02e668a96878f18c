# Copyright 2026 The sfm_depth_ros authors
# SPDX-License-Identifier: Apache-2.0
"""Topics of another type or durability than a node's subscription: named, or received."""

from __future__ import annotations

import pytest

pytest.importorskip("rclpy", reason="rclpy is not installed")
pytestmark = pytest.mark.ros

from geometry_msgs.msg import TwistStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import CameraInfo, Image

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def test_a_calibration_latched_before_the_node_started_is_received(
    start_node, probe, camera, tiny_model, tmp_path
):
    latched = probe.node.create_publisher(CameraInfo, "latched_info", LATCHED)
    latched.publish(camera.info())
    node = start_node(
        "depth_node", [f"camera_info:={probe.namespace}/latched_info", "__node:=late"],
        model=tiny_model.path, models_dir=tmp_path,
    )  # fmt: skip
    depths = probe.collect(Image, "depth/image_rect")

    def shoot():
        camera.step()
        camera.images.publish(camera.image())

    probe.until(lambda: shoot() or depths)
    node.interrupt()


def test_a_velocity_of_another_type_is_named(start_node, probe, camera, tiny_model, tmp_path):
    publisher = probe.node.create_publisher(TwistStamped, "speed", 10)
    node = start_node(
        "depth_node", [f"odom:={probe.namespace}/speed", "__node:=mistyped"],
        model=tiny_model.path, models_dir=tmp_path,
    )  # fmt: skip
    expected = "speed (it is published as TwistStamped: set velocity_source to fit)"

    def is_named():
        camera.shoot()
        publisher.publish(TwistStamped())
        return expected in probe.facts.get("remarks", "")

    probe.until(is_named)
    assert expected in node.text
    node.interrupt()
